/*
 * preload_clockstep.so - the system's wall clock is set while a program runs: CLOCK_REALTIME is off
 * by the number of seconds in the file that CLOCK_STEP names (no file: by none). All other clocks
 * are as they are. LD_PRELOAD it into twinleased.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long step(void)
{
	const char *file = getenv("CLOCK_STEP");
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	char buf[32] = "";

	if (fd < 0)
		return 0;
	(void)!read(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	return atol(buf);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	int r;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	r = real(id, ts);
	if (!r && id == CLOCK_REALTIME)
		ts->tv_sec += step();
	return r;
}
