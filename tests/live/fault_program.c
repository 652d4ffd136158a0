// Seals fresh pages, one round after the other, while strace makes system calls fail; fault_injection.py says
// which.
//
//   fault_program chain busy|quiet ROUND...
//   fault_program serve busy|quiet
//
// chain: ROUND is FLAVOUR:CALL:FILLERS. strace counts the calls of each thread for itself, so a fresh thread
// first makes the system call CALL (a number; -1: none) so many times, with arguments that no kernel takes,
// and then seals. A failure of the Nth call of a thread thus meets the (N - FILLERS)th of its seal. Another
// fresh thread, which makes few calls, looks at what came of it and starts the next round.
//
// serve: one round for each line on standard input, which is a FLAVOUR. It is the supervisor's calls that
// fail.
//
// FLAVOUR 1 is mseal of a page, 2 is mseal_ranges of two that lie apart. `busy`: another thread runs
// meanwhile. Each round writes one line:
//
//   THREAD RESULT ERRNO REFUSED STATE NEXT
//
// REFUSED has a digit for each of mprotect, madvise and munmap of each page: 1 if it was refused with EPERM,
// 0 if it was done, x if it failed otherwise. STATE is what mseal_query says before that, of each page. NEXT
// is 0 if a page that is sealed afterwards really is sealed.
#define _GNU_SOURCE
#include <errno.h>
#include <mseal/mseal.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kPage = 4096, kMostPages = 2 };

struct round {
  int flavour;
  long call;
  int fillers;
  char* pages[kMostPages];
  long thread;
  int result;
  int error;
};

static char** next_round;
static struct round current;

static void fail(const char* what) {
  perror(what);
  exit(3);
}

static struct round parse(const char* text) {
  struct round round;
  memset(&round, 0, sizeof round);
  if (sscanf(text, "%d:%ld:%d", &round.flavour, &round.call, &round.fillers) != 3 || round.flavour < 1 ||
      round.flavour > kMostPages)
    fail("a bad round");
  return round;
}

// Apart from the other mappings, so that none joins it.
static char* fresh_page(void) {
  char* const area = mmap(NULL, 3 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED || mprotect(area + kPage, kPage, PROT_READ) != 0) fail("a page");
  return area + kPage;
}

static void prepare(struct round* round) {
  for (int page = 0; page < round->flavour; ++page) round->pages[page] = fresh_page();
}

// Between two marks, which are not injected.
static void seal(struct round* round) {
  const struct mseal_range ranges[] = {{round->pages[0], kPage}, {round->pages[1], kPage}};
  round->thread = syscall(SYS_gettid);
  (void)syscall(SYS_getppid);
  errno = 0;
  round->result = round->flavour == 1 ? mseal(round->pages[0], kPage, 0) : mseal_ranges(ranges, 2, 0);
  round->error = errno;
  (void)syscall(SYS_getppid);
}

static char refused(int result) {
  return result == 0 ? '0' : errno == EPERM ? '1' : 'x';
}

static int next_seal_fails(void) {
  char* const page = fresh_page();
  if (mseal(page, kPage, 0) != 0) return errno;
  return munmap(page, kPage) == 0 ? -1 : 0;
}

static void report(const struct round* round) {
  char found[3 * kMostPages + 1] = "";
  char states[kMostPages + 1] = "";
  for (int page = 0; page < round->flavour; ++page) {
    char* const address = round->pages[page];
    const int state = mseal_query(address, kPage);
    states[page] = state < 0 ? 'x' : (char)('0' + state);
    found[3 * page] = refused(mprotect(address, kPage, PROT_READ));
    found[3 * page + 1] = refused(madvise(address, kPage, MADV_DONTNEED));
    found[3 * page + 2] = refused(munmap(address, kPage));
  }
  char line[128];
  const int length = snprintf(line, sizeof line, "%ld %d %d %s %s %d\n", round->thread, round->result,
                              round->error, found, states, next_seal_fails());
  if (write(STDOUT_FILENO, line, (size_t)length) != length) fail("a report");
}

static void start_thread(void* (*run)(void*)) {
  pthread_t thread;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, 256 * 1024) != 0 ||
      pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) != 0)
    fail("a thread");
  // The second try: a failure that was meant for the seal may meet the first.
  if (pthread_create(&thread, &attributes, run, NULL) != 0 &&
      pthread_create(&thread, &attributes, run, NULL) != 0)
    fail("a thread");
}

static void* run_round(void* unused);

static void* look_and_go_on(void* unused) {
  (void)unused;
  report(&current);
  if (*next_round == NULL) exit(0);
  current = parse(*next_round++);
  prepare(&current);
  start_thread(run_round);
  return NULL;
}

static void* run_round(void* unused) {
  (void)unused;
  for (int filler = 0; filler < current.fillers; ++filler)
    (void)syscall(current.call, -1L, -1L, -1L, -1L, -1L, -1L);
  seal(&current);
  start_thread(look_and_go_on);
  return NULL;
}

static void* run_busily(void* unused) {
  (void)unused;
  static volatile unsigned long rounds;
  while (1) rounds = rounds + 1;
  return NULL;
}

static int serve(void) {
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    struct round round = {.flavour = atoi(line)};
    if (round.flavour < 1 || round.flavour > kMostPages) fail("a bad flavour");
    prepare(&round);
    seal(&round);
    if (write(STDOUT_FILENO, "sealed\n", 7) != 7 || fgets(line, sizeof line, stdin) == NULL) fail("a round");
    report(&round);
  }
  return 0;
}

int main(int count, char** arguments) {
  if (count < 3) fail("too few arguments");
  if (strcmp(arguments[2], "busy") == 0) start_thread(run_busily);
  // The backend starts with the first seal, which nothing disturbs.
  if (next_seal_fails() != 0) fail("the first seal");
  if (strcmp(arguments[1], "serve") == 0) return serve();
  if (count < 4) fail("too few arguments");
  // strace attaches meanwhile.
  char byte = 0;
  if (write(STDOUT_FILENO, "ready\n", 6) != 6 || read(STDIN_FILENO, &byte, 1) != 1) fail("no start");
  next_round = arguments + 3;
  current = parse(*next_round++);
  prepare(&current);
  start_thread(run_round);
  for (;;) (void)pause();
}
