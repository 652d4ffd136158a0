// Of a supervisor that is built with sanitizers. Its environment is empty and its standard error may be
// closed, so the options and the place of the reports are part of it.
extern "C" const char* __asan_default_options();
extern "C" const char* __ubsan_default_options();

// A process that is not dumpable can't be searched for leaks; /etc/ld.so.preload puts the library before the
// runtime.
#define REPORTS "log_path=" SANITIZER_REPORTS "/supervisor"

const char* __asan_default_options() {
  return REPORTS ":detect_leaks=0:verify_asan_link_order=0";
}

const char* __ubsan_default_options() {
  return REPORTS ":print_stacktrace=1";
}
