//! A `.npz` file that is written: a zip archive of `.npy` files, stored as they are.
use super::owner::Owner;
use std::fs::File;
use std::io;
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Packs the files with these names in `folder`. Who wrote it is in the comment of the archive.
pub fn pack(archive: File, folder: &Path, names: &[String], owner: &Owner) -> io::Result<File> {
    let mut zip = ZipWriter::new(archive);
    zip.set_comment(owner.command.clone())?;
    for name in names {
        let mut array = File::open(folder.join(name))?;
        let large = array.metadata()?.len() >= u64::from(u32::MAX);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        zip.start_file(name.as_str(), options)?;
        io::copy(&mut array, &mut zip)?;
    }
    Ok(zip.finish()?)
}
