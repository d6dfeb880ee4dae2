//! Files that are written whole or not at all, and the files that are never replaced.
use crate::Error;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// A file being written: it gets a temporary name beside its final place and becomes visible only when complete. If it
/// is dropped before [`finish`](Self::finish), it leaves nothing behind.
///
/// A symbolic link stays a link: its target is written, even if it does not exist yet. An old file keeps its
/// permissions, and its owner if the system allows it. Devices, FIFOs, sockets, folders and read-only files are
/// refused.
///
/// ```
/// use std::io::Write;
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("table.csv");
/// let mut draft = hessquik::WholeFile::create(&path)?;
/// draft.as_file().write_all(b"epoch,loss\n").unwrap();
/// assert!(!path.exists());
/// draft.finish()?;
/// assert!(path.exists());
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Debug)]
pub struct WholeFile {
    file: NamedTempFile,
    /// As it was asked for, for messages.
    path: PathBuf,
    /// What it is when all links are followed.
    place: PathBuf,
}

impl WholeFile {
    /// An empty draft of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if `path` is neither a regular file nor a new name, is not writable, or is in a folder that does
    /// not exist or does not accept new files.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let new = || {
            let place = place(path)?;
            let mut builder = Builder::new();
            builder.prefix(".hessquik-");
            // as any new file: readable by others unless the umask forbids; beside an old one by its owner alone, until it
            // gets the permissions of the old one
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(if place.exists() {
                0o600
            } else {
                0o666
            }));
            let folder = parent(&place);
            let file = builder.tempfile_in(folder).map_err(|e| missing_folder(folder, e))?;
            Ok(Self { file, path: path.into(), place })
        };
        new().map_err(|source| Error::Io { path: path.into(), source })
    }

    /// The file under its temporary name.
    pub fn as_file(&self) -> &File {
        self.file.as_file()
    }

    /// The temporary name.
    pub fn temporary(&self) -> &Path {
        self.file.path()
    }

    /// The final place, with all links followed.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Moves the file to its place, replacing any file there.
    ///
    /// # Errors
    /// [`Error::Io`]; the old file is then left as it was.
    pub fn finish(self) -> Result<(), Error> {
        let Self { file, path, place } = self;
        let moved = || {
            if place.exists() {
                inherit(file.path(), &place)?;
            }
            file.persist(&place).map(drop).map_err(|e| e.error)
        };
        moved().map_err(|source| Error::Io { path, source })
    }
}

/// Gives the file `new` the permissions of the file `old`, which it will replace, and its owner if the system allows
/// it.
///
/// # Errors
/// Those of the system.
pub fn inherit(new: &Path, old: &Path) -> io::Result<()> {
    let found = fs::metadata(old)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, chown};
        let now = fs::metadata(new)?;
        if (now.uid(), now.gid()) != (found.uid(), found.gid()) {
            // only root may give files away; others keep at least the group, if they are in it
            let _ = chown(new, Some(found.uid()), Some(found.gid())).or_else(|_| chown(new, None, Some(found.gid())));
        }
    }
    fs::set_permissions(new, found.permissions())
}

/// Follows links to a regular file that may be written, or to a name that is free.
fn place(path: &Path) -> io::Result<PathBuf> {
    // asks the system first: it knows what the links of /proc and /dev lead to
    if let Ok(found) = fs::metadata(path) {
        regular(&found, "a regular file or a new name")?;
    }
    let place = follow(path)?;
    if place.exists() {
        OpenOptions::new().write(true).open(&place)?; // a file that may not be written is not replaced either
    }
    Ok(place)
}

/// The path after following all symbolic links at its end; the result need not exist.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("new");
/// assert_eq!(hessquik::follow(&path).unwrap(), path);
/// ```
///
/// # Errors
/// Links that cannot be read or that form a cycle.
pub fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_path_buf();
    for _ in 0..40 {
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => place = parent(&place).join(fs::read_link(&place)?),
            Ok(_) => return Ok(place),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("too many symbolic links, one after another"))
}

/// Refuses what is not a regular file, by its kind.
fn regular(found: &Metadata, wanted: &str) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    #[cfg(unix)]
    let special = {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        let kinds = [(kind.is_fifo(), "a FIFO"), (kind.is_socket(), "a socket"), (!found.is_dir(), "a device")];
        kinds.into_iter().find(|(is, _)| *is).map(|(_, name)| name)
    };
    #[cfg(not(unix))]
    let special = None;
    Err(io::Error::other(format!("is {}, expected {wanted}", special.unwrap_or("a folder"))))
}

/// The folder that holds `path`.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The error for a file that could not be created in `folder`, with a clear message if the folder does not exist.
pub fn missing_folder(folder: &Path, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound && !folder.exists() {
        let shown = folder.display();
        let message = format!("No such file or directory: the folder {shown} does not exist; make it first");
        return io::Error::new(io::ErrorKind::NotFound, message);
    }
    error
}

/// Writes a file whole or not at all, and flushes it to disk: a new file is written beside the old one and then takes
/// its name. See [`WholeFile`] for links, permissions, and the files that are refused.
///
/// # Errors
/// Those of [`WholeFile::create`], and a full disk.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// hessquik::write_whole(folder.path().join("history.csv"), b"epoch,loss\n")?;
/// # Ok::<(), hessquik::Error>(())
/// ```
pub fn write_whole(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Error> {
    let draft = WholeFile::create(path)?;
    let written = draft.as_file().write_all(bytes).and_then(|()| draft.as_file().sync_all());
    written.map_err(|source| Error::Io { path: draft.path.clone(), source })?;
    draft.finish()
}

/// The bytes of a regular file. Anything else is refused: a FIFO without a writer would wait for ever.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || {
        regular(&fs::metadata(path)?, "a model file (.safetensors)")?;
        fs::read(path)
    };
    read().map_err(|source| Error::Io { path: path.into(), source })
}
