#include "pgwire.h"

#include "scram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AUTH_OK = 0, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11, AUTH_SASL_FINAL = 12, PROTOCOL_3_0 = 196608 };

static bool fail(struct pg_connection *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->error, sizeof c->error, format, arguments);
    va_end(arguments);
    return false;
}

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_u32(unsigned char *p, uint32_t value)
{
    p[0] = (unsigned char)(value >> 24);
    p[1] = (unsigned char)(value >> 16);
    p[2] = (unsigned char)(value >> 8);
    p[3] = (unsigned char)value;
}

bool pg_open(struct pg_connection *c, const struct pg_login *login, bool nonblocking)
{
    static uint32_t turn;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)login->port)};
    int on = 1;

    c->filled = 0;
    c->authenticated = false;
    c->error[0] = '\0';
    c->fd = -1;
    if (inet_pton(AF_INET, login->host, &server.sin_addr) != 1)
        return fail(c, "not an IPv4 address: %s", login->host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    if (c->fd < 0)
        return fail(c, "socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if ((ntohl(server.sin_addr.s_addr) >> 24) == 127) {
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + turn++ % 250)};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(c->fd, (struct sockaddr *)&source, sizeof source) < 0)
            return fail(c, "bind: %s", strerror(errno));
    }
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
        return fail(c, "connect: %s", strerror(errno));
    return true;
}

bool pg_send(struct pg_connection *c, const void *bytes, size_t length)
{
    ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (sent < 0)
        return fail(c, "send: %s", strerror(errno));
    return (size_t)sent == length || fail(c, "short write");
}

bool pg_send_startup(struct pg_connection *c, const struct pg_login *login)
{
    unsigned char packet[512];
    const char *pairs[] = {"user", login->user, "database", login->database, "application_name", "bench"};
    size_t at = 8;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t length = strlen(pairs[i]) + 1;
        if (at + length >= sizeof packet)
            return fail(c, "start-up parameters too long");
        memcpy(packet + at, pairs[i], length);
        at += length;
    }
    packet[at++] = '\0';
    write_u32(packet, (uint32_t)at);
    write_u32(packet + 4, PROTOCOL_3_0);
    return pg_send(c, packet, at);
}

bool pg_send_query(struct pg_connection *c, const char *sql)
{
    unsigned char packet[512];
    size_t length = strlen(sql) + 1;
    if (length + 5 > sizeof packet)
        return fail(c, "query too long");
    packet[0] = 'Q';
    write_u32(packet + 1, (uint32_t)length + 4);
    memcpy(packet + 5, sql, length);
    return pg_send(c, packet, length + 5);
}

/* SASLInitialResponse with client-first-message "n,,n=,r=nonce" (the user is that of the start-up packet). */
static bool send_client_first(struct pg_connection *c)
{
    static const char mechanism[] = "SCRAM-SHA-256";
    unsigned char packet[128];
    scram_nonce(c->nonce, PG_NONCE);
    size_t at = 5;
    packet[0] = 'p';
    memcpy(packet + at, mechanism, sizeof mechanism);
    at += sizeof mechanism;
    int length = snprintf((char *)packet + at + 4, sizeof packet - at - 4, "n,,n=,r=%s", c->nonce);
    write_u32(packet + at, (uint32_t)length);
    at += 4 + (size_t)length;
    write_u32(packet + 1, (uint32_t)at - 1);
    return pg_send(c, packet, at);
}

/* SASLResponse with the proof, from server-first-message "r=...,s=...,i=...". */
static bool send_client_final(struct pg_connection *c, const struct pg_login *login, const char *server_first)
{
    char nonce[128], salt[128], proof[48], final[512];
    int iterations;
    if (sscanf(server_first, "r=%127[^,],s=%127[^,],i=%d", nonce, salt, &iterations) != 3)
        return fail(c, "unreadable server-first-message");
    if (strncmp(nonce, c->nonce, PG_NONCE))
        return fail(c, "the server's nonce does not extend ours");
    snprintf(c->auth_message, sizeof c->auth_message, "n=,r=%s,%s,c=biws,r=%s", c->nonce, server_first, nonce);
    if (!scram_prove(login->password, salt, iterations, c->auth_message, proof, c->server_signature))
        return fail(c, "can't compute the proof");
    int length = snprintf(final + 5, sizeof final - 5, "c=biws,r=%s,p=%s", nonce, proof);
    final[0] = 'p';
    write_u32((unsigned char *)final + 1, (uint32_t)length + 4);
    return pg_send(c, final, (size_t)length + 5);
}

static bool on_authentication(struct pg_connection *c, const struct pg_login *login, const unsigned char *body,
                              size_t length)
{
    char text[512];
    if (length < 4 || length - 4 >= sizeof text)
        return fail(c, "bad Authentication message");
    memcpy(text, body + 4, length - 4);
    text[length - 4] = '\0';
    switch (read_u32(body)) {
    case AUTH_SASL:
        return send_client_first(c);
    case AUTH_SASL_CONTINUE:
        return send_client_final(c, login, text);
    case AUTH_SASL_FINAL:
        if (strncmp(text, "v=", 2) || strcmp(text + 2, c->server_signature))
            return fail(c, "wrong server signature");
        c->authenticated = true;
        return true;
    case AUTH_OK:
        return c->authenticated || fail(c, "logged in without SCRAM: this contender would do less work");
    default:
        return fail(c, "login method %u is not SCRAM", read_u32(body));
    }
}

/* Keeps SQLSTATE and message of an ErrorResponse. */
static bool on_error(struct pg_connection *c, const unsigned char *body, size_t length)
{
    const char *code = "?????", *message = "";
    const unsigned char *end = body + length;
    while (body < end && *body) {
        const unsigned char *zero = memchr(body, 0, (size_t)(end - body));
        if (!zero)
            break;
        if (*body == 'C')
            code = (const char *)body + 1;
        else if (*body == 'M')
            message = (const char *)body + 1;
        body = zero + 1;
    }
    return fail(c, "%s %.200s", code, message);
}

enum pg_progress pg_receive(struct pg_connection *c, const struct pg_login *login)
{
    ssize_t got = recv(c->fd, c->buffer + c->filled, sizeof c->buffer - c->filled, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return PG_WAITING;
    if (got <= 0) {
        fail(c, "recv: %s", got == 0 ? "connection closed" : strerror(errno));
        return PG_FAILED;
    }
    c->filled += (size_t)got;

    size_t at = 0;
    bool ready = false, good = true;
    while (good && c->filled - at >= 5) {
        size_t length = read_u32(c->buffer + at + 1);
        if (length < 4 || length >= sizeof c->buffer) {
            fail(c, "server message of %zu bytes", length);
            return PG_FAILED;
        }
        if (c->filled - at < length + 1)
            break;
        const unsigned char *body = c->buffer + at + 5;
        ready = c->buffer[at] == 'Z';
        if (c->buffer[at] == 'R')
            good = on_authentication(c, login, body, length - 4);
        else if (c->buffer[at] == 'E')
            good = on_error(c, body, length - 4);
        at += length + 1;
    }
    c->filled -= at;
    memmove(c->buffer, c->buffer + at, c->filled);
    if (!good)
        return PG_FAILED;
    return ready && c->filled == 0 ? PG_READY : PG_WAITING;
}

bool pg_await_ready(struct pg_connection *c, const struct pg_login *login)
{
    enum pg_progress progress;
    while ((progress = pg_receive(c, login)) == PG_WAITING)
        ;
    return progress == PG_READY;
}

bool pg_login_blocking(struct pg_connection *c, const struct pg_login *login)
{
    return pg_open(c, login, false) && pg_send_startup(c, login) && pg_await_ready(c, login);
}

void pg_close(struct pg_connection *c)
{
    static const unsigned char terminate[] = {'X', 0, 0, 0, 4};
    if (c->fd < 0)
        return;
    send(c->fd, terminate, sizeof terminate, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(c->fd);
    c->fd = -1;
}

int64_t pg_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t pg_quantile(const int64_t *sorted, size_t count, double quantile)
{
    if (count == 0)
        return 0;
    return sorted[(size_t)(quantile * (double)(count - 1) + 0.5)];
}

static int ascending(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

void pg_sort(int64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
}
