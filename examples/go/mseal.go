// Package mseal keeps data in memory that is sealed by libmseal: until the process ends, nothing can change, unmap or
// replace it. Needs cgo, and libmseal.so and its headers where the C compiler finds them:
//
//	cd examples/go && go run ./demo
//
// Never seal memory of Go's heap: the runtime manages that, and would fail.
package mseal

/*
#cgo LDFLAGS: -lmseal
#include <mseal/mseal.h>
*/
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Seal seals memory that the caller has mapped, with syscall.Mmap for instance. It must begin on a page.
// The error is a syscall.Errno.
func Seal(memory []byte) error {
	if len(memory) == 0 {
		return nil
	}
	if result, err := C.mseal(unsafe.Pointer(&memory[0]), C.size_t(len(memory)), 0); result != 0 {
		return err
	}
	return nil
}

// Copy returns a sealed, read-only copy of data. It is never freed. Writing to it is a fault that ends the program.
func Copy(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	memory, err := syscall.Mmap(-1, 0, len(data), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	copy(memory, data)
	if err := syscall.Mprotect(memory, syscall.PROT_READ); err != nil {
		_ = syscall.Munmap(memory)
		return nil, fmt.Errorf("mprotect: %w", err)
	}
	if err := Seal(memory); err != nil {
		_ = syscall.Munmap(memory)
		return nil, fmt.Errorf("mseal: %w", err)
	}
	return memory[:len(data):len(data)], nil
}
