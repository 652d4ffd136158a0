//! Fills a table, seals it, and shows that it can't be changed any more. `src/lib.rs` says how to build it.

use mseal::{ffi, Error, Region, SealedRegion};
use std::io;

fn table() -> Result<SealedRegion, Error> {
    let mut region = Region::new(9)?;
    region.copy_from_slice(b"the table");
    region.seal()
}

fn outcome(result: i32) -> String {
    match result {
        0 => "done".to_string(),
        _ => io::Error::last_os_error().to_string(),
    }
}

fn main() -> io::Result<()> {
    let table = table().map_err(|error| io::Error::from_raw_os_error(error.errno()))?;

    let start = table.as_ptr() as *mut ffi::Void;
    println!("sealed:   {}", table.is_sealed());
    println!("mprotect: {}", outcome(unsafe { ffi::mprotect(start, table.len(), ffi::PROT_READ | ffi::PROT_WRITE) }));
    println!("munmap:   {}", outcome(unsafe { ffi::munmap(start, table.len()) }));
    println!("it says:  {}", String::from_utf8_lossy(table.as_bytes()));
    println!("too much: {}", Region::new(usize::MAX).unwrap_err());
    Ok(())
}
