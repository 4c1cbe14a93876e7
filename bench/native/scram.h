/* SCRAM-SHA-256 as the client computes it (RFC 5802 section 3, RFC 7677).
 * Owns the keys of the last (salt, iterations); refuses to talk to a socket. */
#ifndef BENCH_SCRAM_H
#define BENCH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>

/* Fills nonce with `length` printable characters and a closing NUL. */
void scram_nonce(char *nonce, size_t length);

/* Computes ClientProof and the expected ServerSignature, both base64, over auth_message.
 * salt_base64 and iterations are the server's. proof and signature hold at least 48 bytes. */
bool scram_prove(const char *password, const char *salt_base64, int iterations, const char *auth_message, char *proof,
                 char *signature);

#endif
