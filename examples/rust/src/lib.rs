//! Memory that is filled and then sealed by libmseal: for good, so that its contents are `&'static`.
//!
//! ```no_run
//! let mut region = mseal::Region::new(4096)?;      // writable; dropping it unmaps it
//! region[..5].copy_from_slice(b"hello");
//! let sealed = region.seal()?;                     // read-only until the process ends
//! let bytes: &'static [u8] = sealed.as_bytes();
//! # Ok::<(), mseal::Error>(())
//! ```
//!
//! The crate needs neither std nor an allocator, and no other crate. libmseal.so must be where the linker finds it:
//!
//!     cargo run --example sealed_table
//!
//! or, without cargo,
//!
//!     rustc --edition 2021 --crate-type lib --crate-name mseal src/lib.rs
//!     rustc --edition 2021 -L . --extern mseal examples/sealed_table.rs && ./sealed_table
#![no_std]

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::{null_mut, NonNull};

/// The C functions. `unsigned long`, `size_t` and `off_t` have 64 bits wherever libmseal runs.
pub mod ffi {
    use core::marker::{PhantomData, PhantomPinned};

    /// C's `void`.
    #[repr(C)]
    pub struct Void {
        _opaque: [u8; 0],
        _marker: PhantomData<(*mut u8, PhantomPinned)>,
    }

    #[link(name = "mseal")]
    extern "C" {
        pub fn mseal(addr: *mut Void, len: usize, flags: u64) -> i32;
        pub fn mseal_query(addr: *const Void, len: usize) -> i32;
    }

    extern "C" {
        pub fn mmap(addr: *mut Void, len: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> *mut Void;
        pub fn mprotect(addr: *mut Void, len: usize, prot: i32) -> i32;
        pub fn munmap(addr: *mut Void, len: usize) -> i32;
        pub fn __errno_location() -> *mut i32;
    }

    pub const PROT_READ: i32 = 1;
    pub const PROT_WRITE: i32 = 2;
    pub const MAP_PRIVATE: i32 = 2;
    pub const MAP_ANONYMOUS: i32 = 0x20;
    pub const MSEAL_STATE_FULLY: i32 = 2;
}

/// What a system call failed with. `std::io::Error::from_raw_os_error(error.errno())` has its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    errno: i32,
}

impl Error {
    fn last(call: &'static str) -> Error {
        Error { call, errno: unsafe { *ffi::__errno_location() } }
    }

    pub fn errno(&self) -> i32 {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed with errno {}", self.call, self.errno)
    }
}

/// Pages of its own, filled with zeros and writable, until they are sealed or dropped.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
}

// It owns its memory, as a Box does.
unsafe impl Send for Region {}
unsafe impl Sync for Region {}

impl Region {
    /// Maps memory for `len` bytes.
    pub fn new(len: usize) -> Result<Region, Error> {
        const MAP_FAILED: usize = usize::MAX;
        let (prot, flags) = (ffi::PROT_READ | ffi::PROT_WRITE, ffi::MAP_PRIVATE | ffi::MAP_ANONYMOUS);
        let start = unsafe { ffi::mmap(null_mut(), len, prot, flags, -1, 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr() as usize != MAP_FAILED => Ok(Region { start, len }),
            _ => Err(Error::last("mmap")),
        }
    }

    /// Makes the memory read-only and seals it. If that fails, it is unmapped.
    pub fn seal(self) -> Result<SealedRegion, Error> {
        let start = self.start.as_ptr().cast::<ffi::Void>();
        if unsafe { ffi::mprotect(start, self.len, ffi::PROT_READ) } != 0 {
            return Err(Error::last("mprotect"));
        }
        if unsafe { ffi::mseal(start, self.len, 0) } != 0 {
            return Err(Error::last("mseal"));
        }
        // Nothing can unmap or change it any more: that is what makes the lifetime right.
        let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) };
        core::mem::forget(self);
        Ok(SealedRegion { bytes })
    }
}

impl Deref for Region {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        unsafe { ffi::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Memory that nothing can change, unmap or replace until the process ends. So it may be copied, and has no `Drop`.
#[derive(Clone, Copy, Debug)]
pub struct SealedRegion {
    bytes: &'static [u8],
}

impl SealedRegion {
    pub fn as_bytes(self) -> &'static [u8] {
        self.bytes
    }

    /// Whether libmseal says that it is sealed, all of it.
    pub fn is_sealed(self) -> bool {
        unsafe { ffi::mseal_query(self.bytes.as_ptr().cast(), self.bytes.len()) == ffi::MSEAL_STATE_FULLY }
    }
}

impl Deref for SealedRegion {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
