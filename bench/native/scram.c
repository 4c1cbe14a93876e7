#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_* : three times as fast as EVP for one short block */
#include "scram.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

enum { DIGEST = SHA256_DIGEST_LENGTH, BLOCK = 64, MAX_SALT = 128 };

/* HMAC with both pads already hashed: two block operations less per signature. */
struct hmac_key {
    SHA256_CTX inner;
    SHA256_CTX outer;
};

static struct {
    char password[128];
    char salt[MAX_SALT];
    int iterations;
    unsigned char client_key[DIGEST];
    struct hmac_key stored_key;
    struct hmac_key server_key;
} cache;

static void hmac_prepare(struct hmac_key *key, const unsigned char *secret, size_t length)
{
    unsigned char pad[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] = (unsigned char)((i < length ? secret[i] : 0) ^ 0x36);
    SHA256_Init(&key->inner);
    SHA256_Update(&key->inner, pad, BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&key->outer);
    SHA256_Update(&key->outer, pad, BLOCK);
}

static void hmac_sign(const struct hmac_key *key, const char *text, size_t length, unsigned char *out)
{
    SHA256_CTX context = key->inner;
    SHA256_Update(&context, text, length);
    SHA256_Final(out, &context);
    context = key->outer;
    SHA256_Update(&context, out, DIGEST);
    SHA256_Final(out, &context);
}

static bool keys_ready(const char *password, const char *salt_base64, int iterations)
{
    if (cache.iterations == iterations && !strcmp(cache.salt, salt_base64) && !strcmp(cache.password, password))
        return true;
    size_t length = strlen(salt_base64);
    if (length == 0 || length % 4 != 0 || length >= MAX_SALT || strlen(password) >= sizeof cache.password)
        return false;
    unsigned char salt[MAX_SALT];
    int salt_length = EVP_DecodeBlock(salt, (const unsigned char *)salt_base64, (int)length);
    if (salt_length < 0)
        return false;
    for (size_t i = length; i > 0 && salt_base64[i - 1] == '='; i--)
        salt_length--;

    unsigned char salted[DIGEST], digest[DIGEST];
    struct hmac_key salted_key;
    if (!PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, salt_length, iterations, EVP_sha256(), DIGEST,
                           salted))
        return false;
    hmac_prepare(&salted_key, salted, DIGEST);
    hmac_sign(&salted_key, "Client Key", 10, cache.client_key);
    SHA256(cache.client_key, DIGEST, digest);
    hmac_prepare(&cache.stored_key, digest, DIGEST);
    hmac_sign(&salted_key, "Server Key", 10, digest);
    hmac_prepare(&cache.server_key, digest, DIGEST);

    strcpy(cache.password, password);
    strcpy(cache.salt, salt_base64);
    cache.iterations = iterations;
    return true;
}

void scram_nonce(char *nonce, size_t length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static uint64_t state;
    while (state == 0) /* xorshift must not start at 0; unpredictability is of no use to a load generator */
        if (getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state)
            state = 0;
    for (size_t i = 0; i < length; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        nonce[i] = alphabet[(state >> 32) & 63];
    }
    nonce[length] = '\0';
}

bool scram_prove(const char *password, const char *salt_base64, int iterations, const char *auth_message, char *proof,
                 char *signature)
{
    if (!keys_ready(password, salt_base64, iterations))
        return false;
    unsigned char digest[DIGEST];
    size_t length = strlen(auth_message);
    hmac_sign(&cache.stored_key, auth_message, length, digest);
    for (size_t i = 0; i < DIGEST; i++)
        digest[i] ^= cache.client_key[i];
    EVP_EncodeBlock((unsigned char *)proof, digest, DIGEST);
    hmac_sign(&cache.server_key, auth_message, length, digest);
    EVP_EncodeBlock((unsigned char *)signature, digest, DIGEST);
    return true;
}
