/*
 * Main of a fuzzer without libFuzzer: replay_X CORPUS feeds every file of a directory to the
 * target, and every prefix of it (what a torn datagram or record looks like). Each input is a
 * heap block of its exact size, so that the address sanitizer sees one octet read too many.
 * An absent or empty directory is a failure: nothing tested is nothing passed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1 << 20)
#define PREFIX_MAX 4096 /* of longer files only the prefixes up to here, and the whole */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, p, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static int replay(const char *dir, const char *name)
{
	static uint8_t buf[FILE_MAX];
	char path[4096];
	size_t len;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -1;
	f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	len = fread(buf, 1, sizeof(buf), f);
	if (ferror(f)) { /* a directory in the corpus */
		perror(path);
		fclose(f);
		return -1;
	}
	fclose(f);
	for (size_t n = 0; n < len && n <= PREFIX_MAX; n++)
		feed(buf, n);
	feed(buf, len);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	struct dirent *e;
	DIR *d;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	d = opendir(argv[1]);
	if (!d) {
		perror(argv[1]);
		return 1;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (replay(argv[1], e->d_name) < 0)
			return 1;
		files++;
	}
	closedir(d);
	printf("%u files and their prefixes\n", files);
	return files ? 0 : 1;
}
