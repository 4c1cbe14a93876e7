/* Keeps a number of connections in flight, each: connect, SCRAM login, one query, Terminate, close; then the next.
 *
 *   connect_storm HOST PORT USER PASSWORD DATABASE IN_FLIGHT SECONDS
 *
 * Prints one JSON object: connections, errors, first_error, seconds, latencies in microseconds (connect to the end of
 * the query's reply), and the generator's own CPU time, by which a reader sees whether the generator was the limit.
 * Edge-triggered epoll, one thread, one registration a connection.
 */
#include "pgwire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum step { CONNECTING, LOGGING_IN, QUERYING };
enum { EVENTS = 256, MAX_SAMPLES = 4000000, DRAIN_LIMIT_S = 20, GIVE_UP_ERRORS = 2000 };

struct client {
    struct pg_connection connection;
    enum step step;
    int64_t started;
};

static struct {
    struct pg_login login;
    int epoll;
    int in_flight;
    int64_t stop_at;
    int64_t *samples;
    size_t done, errors;
    char first_error[PG_ERROR];
} storm;

static void count_error(struct client *client)
{
    if (storm.errors++ == 0)
        strcpy(storm.first_error, client->connection.error);
}

/* Starts clients until one is under way; a run that only fails ends early. */
static void start(struct client *client)
{
    while (pg_now() < storm.stop_at && (storm.done || storm.errors < GIVE_UP_ERRORS)) {
        client->started = pg_now();
        client->step = CONNECTING;
        if (pg_open(&client->connection, &storm.login, true)) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};
            if (epoll_ctl(storm.epoll, EPOLL_CTL_ADD, client->connection.fd, &event) == 0) {
                storm.in_flight++;
                return;
            }
            snprintf(client->connection.error, PG_ERROR, "epoll_ctl: %s", strerror(errno));
        }
        count_error(client);
        pg_close(&client->connection);
    }
}

static void finish(struct client *client, bool good)
{
    if (!good)
        count_error(client);
    else if (storm.done < MAX_SAMPLES)
        storm.samples[storm.done++] = pg_now() - client->started;
    pg_close(&client->connection);
    storm.in_flight--;
    start(client);
}

static void advance(struct client *client, uint32_t events)
{
    struct pg_connection *c = &client->connection;
    if (client->step == CONNECTING) {
        /* A refused connect shows as EPOLLERR; send() then returns its errno. */
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        if (!pg_send_startup(c, &storm.login)) {
            finish(client, false);
            return;
        }
        client->step = LOGGING_IN;
    }
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)))
        return;
    enum pg_progress progress = pg_receive(c, &storm.login);
    if (progress == PG_WAITING)
        return;
    if (progress == PG_FAILED || client->step == QUERYING) {
        finish(client, progress == PG_READY);
        return;
    }
    client->step = QUERYING;
    if (!pg_send_query(c, "select 1"))
        finish(client, false);
}

static void print_string(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else
            putchar((unsigned char)*text < 32 ? ' ' : *text);
    putchar('"');
}

int main(int count, char **arguments)
{
    if (count != 8) {
        fprintf(stderr, "usage: connect_storm HOST PORT USER PASSWORD DATABASE IN_FLIGHT SECONDS\n");
        return 2;
    }
    storm.login = (struct pg_login){arguments[1], atoi(arguments[2]), arguments[3], arguments[4], arguments[5]};
    size_t wanted = (size_t)atoi(arguments[6]);
    struct client *clients = calloc(wanted, sizeof *clients);
    storm.samples = malloc(MAX_SAMPLES * sizeof *storm.samples);
    storm.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || !storm.samples || storm.epoll < 0) {
        perror("connect_storm");
        return 1;
    }

    int64_t began = pg_now();
    storm.stop_at = began + (int64_t)(atof(arguments[7]) * 1e9);
    int64_t drained_by = storm.stop_at + (int64_t)DRAIN_LIMIT_S * 1000000000;
    for (size_t i = 0; i < wanted; i++)
        start(&clients[i]);
    struct epoll_event events[EVENTS];
    while (storm.in_flight > 0 && pg_now() < drained_by) {
        int ready = epoll_wait(storm.epoll, events, EVENTS, 1000);
        for (int i = 0; i < ready; i++)
            advance(events[i].data.ptr, events[i].events);
    }
    double seconds = (double)(pg_now() - began) / 1e9;
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);

    pg_sort(storm.samples, storm.done);
    printf("{\"connections\": %zu, \"errors\": %zu, \"stuck\": %d, \"seconds\": %.6f, \"generator_cpu_seconds\": %.6f",
           storm.done, storm.errors, storm.in_flight, seconds, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    printf(", \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"first_error\": ",
           (double)pg_quantile(storm.samples, storm.done, 0.5) / 1e3,
           (double)pg_quantile(storm.samples, storm.done, 0.9) / 1e3,
           (double)pg_quantile(storm.samples, storm.done, 0.99) / 1e3,
           (double)pg_quantile(storm.samples, storm.done, 1.0) / 1e3);
    print_string(storm.first_error);
    printf("}\n");
    return 0;
}
