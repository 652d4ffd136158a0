# gdb around a sealed program: breakpoints in sealed text, stepping, changed variables, calls.
set -eu
printf '#include <stdio.h>\nint twice(int x) { return x + x; }\nint main(void) {\n  int n = twice(4);\n  printf("%%d\\n", n);\n  return n != 10;\n}\n' > p.c
gcc -g -O0 p.c -o p
gdb -q -batch -nx -ex 'set debuginfod enabled off' -ex 'break twice' -ex run -ex 'set var x = 5' -ex 'print twice(21)' \
  -ex 'delete' -ex finish -ex next -ex 'info line' -ex continue ./p 2>/dev/null |
  sed -n 's/^\[Inferior.*exited/exited/p; /^Value returned/p; /^10$/p; /^.1 = /p'
