/* A minimal PostgreSQL 3.0 client for load generation: start-up, SCRAM-SHA-256 and reading until ReadyForQuery.
 *
 * Owns: framing of server messages, the SCRAM exchange (RFC 5802, RFC 7677), one connection's state.
 * Refuses: TLS, channel binding, any login method but SCRAM (so that no contender gets a cheaper login unnoticed),
 * and server messages longer than its buffer.
 *
 * SaltedPassword (PBKDF2, about 3 ms) is computed once per (salt, iterations) and kept: the generator would otherwise
 * be the bottleneck of what it measures.
 */
#ifndef BENCH_PGWIRE_H
#define BENCH_PGWIRE_H

#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PG_BUFFER = 8192, PG_ERROR = 256, PG_NONCE = 24, PG_AUTH_MESSAGE = 1024 };

struct pg_login {
    const char *host; /* IPv4 address in digits */
    int port;
    const char *user;
    const char *password;
    const char *database;
};

enum pg_progress {
    PG_WAITING, /* everything received so far is handled; more must come */
    PG_READY,   /* ReadyForQuery was read and nothing is left in the buffer */
    PG_FAILED,  /* see pg_connection.error */
};

struct pg_connection {
    int fd;
    bool authenticated;
    size_t filled;
    unsigned char buffer[PG_BUFFER];
    char nonce[PG_NONCE + 1];
    char auth_message[PG_AUTH_MESSAGE];
    char server_signature[48]; /* expected, base64 */
    char error[PG_ERROR];
};

/* Opens a TCP socket, non-blocking if asked; spreads source addresses over 127.1.0.0/16 when the host is a loopback
 * address, so that tens of thousands of connections in TIME_WAIT don't use up the ports of one address.
 * Returns false and sets error on failure; a non-blocking connect in progress is a success. */
bool pg_open(struct pg_connection *c, const struct pg_login *login, bool nonblocking);

/* Sends the StartupMessage. */
bool pg_send_startup(struct pg_connection *c, const struct pg_login *login);

/* Sends bytes whole; a short write is a failure (loads are far below a socket buffer). */
bool pg_send(struct pg_connection *c, const void *bytes, size_t length);

/* Sends a simple Query. */
bool pg_send_query(struct pg_connection *c, const char *sql);

/* Reads once and handles every complete message, answering authentication requests. */
enum pg_progress pg_receive(struct pg_connection *c, const struct pg_login *login);

/* Blocking helpers: log in and come back at the first ReadyForQuery; wait for the next one. */
bool pg_login_blocking(struct pg_connection *c, const struct pg_login *login);
bool pg_await_ready(struct pg_connection *c, const struct pg_login *login);

/* Sends Terminate and closes. */
void pg_close(struct pg_connection *c);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t pg_now(void);

/* Value at a quantile (0..1) of a sorted array; 0 for an empty one. */
int64_t pg_quantile(const int64_t *sorted, size_t count, double quantile);

/* Sorts in place, ascending. */
void pg_sort(int64_t *values, size_t count);

#endif
