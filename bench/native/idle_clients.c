/* Opens clients that log in by SCRAM, run a query, prepare and run some named statements, and then stay idle.
 *
 *   idle_clients HOST PORT USER PASSWORD DATABASE CLIENTS STATEMENTS
 *
 * Prints "ready CLIENTS" once all are idle, keeps them until its standard input ends, then closes them.
 * All clients use the same statement names and texts, as the instances of one application do.
 */
#include "pgwire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Appends a message of the extended protocol; the length field counts itself and the body. */
static size_t append(unsigned char *packet, size_t at, char type, const void *body, size_t length)
{
    uint32_t size = (uint32_t)length + 4;
    packet[at] = (unsigned char)type;
    for (int i = 0; i < 4; i++)
        packet[at + 1 + (size_t)i] = (unsigned char)(size >> (24 - 8 * i));
    memcpy(packet + at + 5, body, length);
    return at + 5 + length;
}

/* Parse, Bind (one text parameter), Execute and Sync of the named statement "s<number>". */
static bool run_prepared(struct pg_connection *c, const struct pg_login *login, int number)
{
    unsigned char packet[1024];
    char body[512];
    size_t at = 0;
    int length = snprintf(body, sizeof body, "s%d%cselect abalance + %d from pgbench_accounts where aid = $1", number,
                          0, number);
    memset(body + length, 0, 3); /* the text's NUL, and no parameter types given */
    at = append(packet, at, 'P', body, (size_t)length + 3);
    length = snprintf(body, sizeof body, "%cs%d%c", 0, number, 0);
    memcpy(body + length, "\0\0\0\1\0\0\0\1" "1\0\0", 11); /* text format, one value of one byte, results as text */
    at = append(packet, at, 'B', body, (size_t)length + 11);
    at = append(packet, at, 'E', "\0\0\0\0", 5);
    at = append(packet, at, 'S', "", 0);
    return pg_send(c, packet, at) && pg_await_ready(c, login);
}

static bool bring_up(struct pg_connection *c, const struct pg_login *login, int statements)
{
    if (!pg_login_blocking(c, login) || !pg_send_query(c, "select 1") || !pg_await_ready(c, login))
        return false;
    for (int number = 1; number <= statements; number++)
        if (!run_prepared(c, login, number))
            return false;
    return true;
}

int main(int count, char **arguments)
{
    if (count != 8) {
        fprintf(stderr, "usage: idle_clients HOST PORT USER PASSWORD DATABASE CLIENTS STATEMENTS\n");
        return 2;
    }
    struct pg_login login = {arguments[1], atoi(arguments[2]), arguments[3], arguments[4], arguments[5]};
    int clients = atoi(arguments[6]), statements = atoi(arguments[7]);
    int *sockets = calloc((size_t)clients, sizeof *sockets);
    struct pg_connection *c = malloc(sizeof *c);
    if (!sockets || !c) {
        perror("idle_clients");
        return 1;
    }
    for (int i = 0; i < clients; i++) {
        if (!bring_up(c, &login, statements)) {
            fprintf(stderr, "client %d: %s\n", i, c->error);
            return 1;
        }
        sockets[i] = c->fd;
    }
    printf("ready %d\n", clients);
    fflush(stdout);

    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0)
        ;
    for (int i = 0; i < clients; i++) {
        c->fd = sockets[i];
        pg_close(c);
    }
    return 0;
}
