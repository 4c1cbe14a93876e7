/* Full TLS handshakes, one after the other in each of some threads; nothing is said on the connections.
 *
 *   tls_storm HOST PORT THREADS SECONDS
 *
 * Each connects, sends an SSLRequest, does a handshake without a session to resume, and closes. Prints one JSON object:
 * handshakes, errors, the seconds it took, quantiles of connect and handshake in microseconds, its own CPU.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 1000000, MAX_THREADS = 256 };

static struct sockaddr_in address;
static SSL_CTX *context;
static int64_t end_at;
static int64_t *samples;
static atomic_size_t taken, errors;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int shake(void)
{
    static const unsigned char request[8] = {0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f};
    int one = 1, done = 0;
    char answer = 0;
    struct linger reset = {1, 0}; /* no TIME_WAIT: a storm would use up the ports */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    SSL *ssl = SSL_new(context);
    if (ssl && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, request, sizeof request, 0) == sizeof request && recv(fd, &answer, 1, 0) == 1 && answer == 'S') {
        SSL_set_fd(ssl, fd);
        done = SSL_connect(ssl) == 1;
    }
    SSL_free(ssl);
    close(fd);
    return done;
}

static void *work(void *nothing)
{
    int64_t began;
    while ((began = now()) < end_at) {
        if (!shake()) {
            atomic_fetch_add(&errors, 1);
            continue;
        }
        size_t at = atomic_fetch_add(&taken, 1);
        if (at < MAX_SAMPLES)
            samples[at] = now() - began;
    }
    return nothing;
}

static int by_size(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: tls_storm HOST PORT THREADS SECONDS\n");
        return 2;
    }
    int threads = atoi(arguments[3]);
    pthread_t ids[MAX_THREADS];
    struct rusage used;
    if (threads < 1 || threads > MAX_THREADS)
        return 2;
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(arguments[2]));
    inet_pton(AF_INET, arguments[1], &address.sin_addr);
    context = SSL_CTX_new(TLS_client_method());
    samples = calloc(MAX_SAMPLES, sizeof *samples);
    if (!context || !samples)
        return 1;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    int64_t began = now();
    end_at = began + (int64_t)(atof(arguments[4]) * 1e9);
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, work, NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double seconds = (double)(now() - began) / 1e9;
    size_t done = taken < MAX_SAMPLES ? taken : MAX_SAMPLES;
    qsort(samples, done, sizeof *samples, by_size);
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"handshakes\": %zu, \"errors\": %zu, \"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"generator_cpu_seconds\": %.3f}\n",
           (size_t)taken, (size_t)errors, seconds, done ? (double)samples[done / 2] / 1e3 : 0.0,
           done ? (double)samples[done * 99 / 100] / 1e3 : 0.0, cpu);
    return 0;
}
