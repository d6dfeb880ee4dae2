//! What can go wrong in the command, and the exit code of each.
use hessquik::Error;
use std::io;
use std::path::Path;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),

    /// A file, model, array or setting is not what it should be.
    #[error(transparent)]
    Library(#[from] Error),

    /// Ways to compute the same numbers gave others.
    #[error("{0}")]
    Differ(String),

    /// The user, or the system, asked to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,

    /// Training was interrupted, and what there was is saved.
    #[cfg(feature = "train")]
    #[error("interrupted; {0}")]
    Saved(String),

    /// A network cannot be trained.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Training(#[from] hessquik_burn::Error),
}

impl Failure {
    /// An operating system's error about the file at `path`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Error::Io { path: path.into(), source }.into()
    }

    /// The file at `path` does not hold what it should.
    pub fn file(path: &Path, message: impl Into<String>) -> Self {
        Error::File { path: path.into(), message: message.into() }.into()
    }

    /// The exit code, as `--help` documents it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Differ(_) => 1,
            Self::Usage(_) => 2,
            Self::Library(_) => 3,
            Self::Interrupted => 130,
            #[cfg(feature = "train")]
            Self::Saved(_) => 130,
            // a device that is not built in is asked for in vain, as a command is
            #[cfg(feature = "train")]
            Self::Training(hessquik_burn::Error::Device { .. }) => 2,
            #[cfg(feature = "train")]
            Self::Training(_) => 3,
        }
    }
}
