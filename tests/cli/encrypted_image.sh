# SPDX-License-Identifier: BSD-3-Clause
# An encrypted image: runs with its key, not without it or with another; shows nothing of what
# is in it; and is, decrypted by OpenSSL as dm-crypt would, the image built without a key.
# TIMEOUT: 120
. tests/cli/lib/instance

cat >xts.c <<'C'
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    unsigned char key[16], xts[64], iv[16], in[512], out[512];
    unsigned n, v;
    int len;
    char *at = argv[1];
    for (int i = 0; i < 16; i++, at += 3)
        key[i] = (unsigned char)(sscanf(at, "%2x", &v), v);
    HMAC(EVP_sha256(), key, 16, (const unsigned char *)"occlum image 1", 14, xts, &n);
    HMAC(EVP_sha256(), key, 16, (const unsigned char *)"occlum image 2", 14, xts + 32, &n);
    for (uint64_t sector = 0; fread(in, 1, 512, stdin) == 512; sector++) {
        EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        memset(iv, 0, 16);
        memcpy(iv, &sector, 8);
        EVP_DecryptInit_ex(c, EVP_aes_256_xts(), NULL, xts, iv);
        EVP_DecryptUpdate(c, out, &len, in, 512);
        EVP_CIPHER_CTX_free(c);
        fwrite(out, 1, 512, stdout);
    }
    return argc != 2;
}
C
"${CC:-gcc}" -O1 -o xts xts.c -lcrypto || exit 1
"$occlum" gen-image-key key && "$occlum" gen-image-key other || fail "keys"

new_instance inst
cp "$(command -v busybox || command -v true)" image/bin/true
echo "nobody may read this line" >image/etc/secret-file
yes "a pattern that repeats" | head -c 200000 >image/etc/pattern
SOURCE_DATE_EPOCH=1000
export SOURCE_DATE_EPOCH
build
cp build/rootfs.img ../plain.img
plain=$(mrenclave)
build --image-key ../key
[ "$(mrenclave)" != "$plain" ] || fail "the measurement does not see the encryption"
for word in "nobody may" secret-file pattern; do
    LC_ALL=C grep -aq "$word" build/rootfs.img && fail "the image shows $word"
done

# Blocks of the file system: the 32 bits at byte 36 of its superblock, which is at 1024.
blocks=$(od -An -tu4 -j$((1024 + 36)) -N4 ../plain.img | tr -d ' ')
head -c $((blocks * 4096)) build/rootfs.img | ../xts "$(cat ../key)" >../decrypted
[ -s ../decrypted ] || fail "nothing decrypted"
cmp -n $((blocks * 4096)) ../decrypted ../plain.img || fail "OpenSSL gets another image"

"$occlum" run --image-key ../key /bin/true >out 2>&1 || fail "with the key: $(cat out)"
"$occlum" run /bin/true >out 2>&1 && fail "it runs without a key"
grep -q 'the image is encrypted' out || fail "without a key: $(cat out)"
"$occlum" run --image-key ../other /bin/true >out 2>&1 && fail "it runs with another key"
grep -q 'holds no EROFS' out || fail "another key: $(cat out)"

build --image-key ../key --buildin-image-key
"$occlum" run /bin/true >out 2>&1 || fail "with the key built in: $(cat out)"
exit 0
