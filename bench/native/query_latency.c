/* One client, one query at a time, by the simple protocol: the latency of each round trip.
 *
 *   query_latency HOST PORT USER PASSWORD DATABASE SECONDS
 *
 * Prints one JSON object: queries and quantiles in microseconds. The query is pgbench -S's. The first tenth of the time
 * is warm-up and not counted.
 */
#include "pgwire.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_SAMPLES = 4000000, ACCOUNTS = 100000 };

int main(int count, char **arguments)
{
    if (count != 7) {
        fprintf(stderr, "usage: query_latency HOST PORT USER PASSWORD DATABASE SECONDS\n");
        return 2;
    }
    struct pg_login login = {arguments[1], atoi(arguments[2]), arguments[3], arguments[4], arguments[5]};
    struct pg_connection *c = malloc(sizeof *c);
    int64_t *samples = malloc(MAX_SAMPLES * sizeof *samples);
    if (!c || !samples) {
        perror("query_latency");
        return 1;
    }
    if (!pg_login_blocking(c, &login)) {
        fprintf(stderr, "login: %s\n", c->error);
        return 1;
    }
    int64_t length = (int64_t)(atof(arguments[6]) * 1e9), began = pg_now(), now = began;
    uint32_t random = 1;
    size_t done = 0;
    while (now < began + length && done < MAX_SAMPLES) {
        char sql[96];
        random = random * 1664525u + 1013904223u;
        snprintf(sql, sizeof sql, "SELECT abalance FROM pgbench_accounts WHERE aid = %u;", 1 + random % ACCOUNTS);
        int64_t sent = pg_now();
        if (!pg_send_query(c, sql) || !pg_await_ready(c, &login)) {
            fprintf(stderr, "query: %s\n", c->error);
            return 1;
        }
        now = pg_now();
        if (sent - began > length / 10)
            samples[done++] = now - sent;
    }
    pg_close(c);
    pg_sort(samples, done);
    printf("{\"queries\": %zu, \"p10_us\": %.2f, \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, "
           "\"max_us\": %.2f}\n",
           done, (double)pg_quantile(samples, done, 0.1) / 1e3, (double)pg_quantile(samples, done, 0.5) / 1e3,
           (double)pg_quantile(samples, done, 0.9) / 1e3, (double)pg_quantile(samples, done, 0.99) / 1e3,
           (double)pg_quantile(samples, done, 1.0) / 1e3);
    return 0;
}
