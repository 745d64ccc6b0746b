//! Any bytes as a page of the bucket's list, and its keys as names of files: no panic, and a name that is read is written the
//! same.
#![no_main]

use binance::archive::{ArchiveFile, listing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(page) = listing::parse(bytes) else { return };
    for object in &page.objects {
        if let Some((file, is_checksum)) = ArchiveFile::of_key(&object.key) {
            let ending = if is_checksum { ".CHECKSUM" } else { "" };
            assert_eq!(format!("{}{ending}", file.key()), object.key);
        }
    }
});
