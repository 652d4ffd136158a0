/* Loads the objects that it is told, from where its RUNPATH says ("-": what is there already), and tells of
 * each: whether it works, and whether its text is sealed. Then closes it. "+NAME" loads and keeps it,
 * "mseal_loaded" calls that, "thread" starts one, "child" goes on in a forked child, "*FOLDER" has four
 * threads load and close 0.so to 5.so there, and tells how often that failed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char* folder;

static void* load_and_close(void* failures) {
  for (int round = 0; round < 300; ++round) {
    char file[256];
    snprintf(file, sizeof file, "%s/%d.so", folder, round % 6);
    void* const object = dlopen(file, RTLD_NOW);
    int (*answer)(void) = NULL;
    if (object != NULL) *(void**)&answer = dlsym(object, "answer");
    if (answer == NULL || answer() != 42) ++*(int*)failures;
    if (object == NULL) fprintf(stderr, "%s\n", dlerror());
    if (object != NULL) dlclose(object);
  }
  return NULL;
}

static int load_in_threads(void) {
  pthread_t threads[4];
  int failures[4] = {0};
  int sum = 0;
  for (int index = 0; index < 4; ++index)
    pthread_create(&threads[index], NULL, load_and_close, &failures[index]);
  for (int index = 0; index < 4; ++index) {
    pthread_join(threads[index], NULL);
    sum += failures[index];
  }
  return sum;
}

static void* wait_for_ever(void* nothing) {
  for (;;) pause();
  return nothing;
}

int main(int count, char** arguments) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int index = 1; index < count; ++index) {
    char file[64];
    if (arguments[index][0] == '*') {
      folder = arguments[index] + 1;
      printf("threads: %d failures\n", load_in_threads());
      continue;
    }
    if (strcmp(arguments[index], "mseal_loaded") == 0) {
      int (*seal)(unsigned long);
      *(void**)&seal = dlsym(RTLD_DEFAULT, "mseal_loaded");
      if (seal == NULL) return 1;
      const int refused = seal(1) == -1 && errno == EINVAL;
      printf("mseal_loaded: %d%s\n", seal(0), refused ? "" : ", takes flags");
      continue;
    }
    if (strcmp(arguments[index], "thread") == 0) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0) return 1;
      continue;
    }
    if (strcmp(arguments[index], "child") == 0) {
      const pid_t child = fork();
      int status = 1;
      if (child == 0) continue;
      return waitpid(child, &status, 0) == child ? status : 1;
    }
    const int keep = arguments[index][0] == '+';
    snprintf(file, sizeof file, "%s.so", arguments[index] + keep);
    if (keep) {
      if (dlopen(file, RTLD_NOW) == NULL) return 1;
      continue;
    }
    const int is_there = strcmp(arguments[index], "-") == 0;
    void* const object = is_there ? RTLD_DEFAULT : dlopen(file, RTLD_LAZY);
    if (object == NULL && !is_there) {
      printf("%s: not loaded\n", arguments[index]);
      fprintf(stderr, "%s\n", dlerror());
      continue;
    }
    int (*answer)(void);
    *(void**)&answer = dlsym(object, "answer");
    printf("%s: %d", arguments[index], answer != NULL ? answer() : -1);
    if (answer != NULL) {
      void* const text = (void*)((uintptr_t)answer & -page);
      printf(mprotect(text, page, PROT_READ | PROT_EXEC) == 0 ? ", open" : ", sealed");
    }
    printf(is_there || dlclose(object) == 0 ? "\n" : ", not closed\n");
  }
  /* What depends on the caller's address, and what is not there. */
  void* const own = dlsym(RTLD_DEFAULT, "dlsym");
  void* const next = dlsym(RTLD_NEXT, "strlen");
  printf("%s %s %s\n", own != NULL ? "default" : "-", next != NULL ? "next" : "-",
         dlsym(RTLD_DEFAULT, "no_such_function") == NULL && dlerror() != NULL ? "error" : "-");
  return 0;
}
