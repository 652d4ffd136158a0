# gcc and clang, with a real source of this project.
set -eu
for compiler in g++ clang++; do
  "$compiler" -std=c++20 -O2 -I "$SOURCE" -c "$SOURCE/policy/bpf/range_program.cpp" -o "$compiler.o"
  nm -C "$compiler.o" | grep -c ' T .*compile('
done
printf '#include <stdio.h>\nint main(void) { printf("compiled\\n"); return 0; }\n' > hello.c
gcc -O2 -flto hello.c -o hello && ./hello
