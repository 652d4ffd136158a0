// Seals a table and tries to change it, by Go's own system calls, which do not go through libc: the kernel refuses them.
//
// Run it with: go run ./demo
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"libmseal.example/mseal"
)

func outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, os.ErrPermission):
		return "refused: " + err.Error()
	default:
		return err.Error()
	}
}

func main() {
	table, err := mseal.Copy([]byte("the table"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("mprotect:", outcome(syscall.Mprotect(table, syscall.PROT_READ|syscall.PROT_WRITE)))
	fmt.Println("munmap:", outcome(syscall.Munmap(table)))
	fmt.Println("not at a page:", outcome(mseal.Seal(table[1:])))
	fmt.Printf("it says: %s\n", table)
}
