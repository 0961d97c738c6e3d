/* Move the wall clock of a process, and of all that it starts, by CLOCK_AHEAD seconds.
 *
 * Loaded ahead of libc by LD_PRELOAD. Time passes as always; the monotonic clock, by which loops and locks
 * count, is not touched. Debian's libfaketime cannot leave it alone: time.sleep then fails with EINVAL, and if
 * it is moved too, a lock's timeout never comes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

/* No machine has been up for that long (30 years), and no wall clock is set that far back. */
#define SURELY_WALL_TIME 946684800

static time_t ahead;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_timerfd_settime)(int, int, const struct itimerspec *, struct itimerspec *);

__attribute__((constructor)) static void begin(void)
{
    const char *seconds = getenv("CLOCK_AHEAD");

    ahead = seconds ? atol(seconds) : 0;
    *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_timerfd_settime = dlsym(RTLD_NEXT, "timerfd_settime");
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!real_clock_gettime) /* another library's constructor came first */
        begin();
    if (real_clock_gettime(clock, now))
        return -1;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += ahead;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &found))
        return -1;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec found;

    clock_gettime(CLOCK_REALTIME_COARSE, &found);
    if (now)
        *now = found.tv_sec;
    return found.tv_sec;
}

/* The kernel wakes by its own clock. */
int timerfd_settime(int file, int flags, const struct itimerspec *value, struct itimerspec *former)
{
    struct itimerspec moved = *value;

    if ((flags & TFD_TIMER_ABSTIME) && moved.it_value.tv_sec > SURELY_WALL_TIME)
        moved.it_value.tv_sec -= ahead;
    return real_timerfd_settime(file, flags, &moved, former);
}
