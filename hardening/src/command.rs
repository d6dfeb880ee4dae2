//! The command `hessquik` as a child process: its points, how it ended, and the most memory it had.
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The command beside this program, as `cargo build --release --workspace` leaves it, unless another is named.
pub fn hessquik(named: &Option<PathBuf>) -> PathBuf {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("hessquik"));
    let path = named.clone().or_else(beside).expect("a path");
    let found = path.canonicalize();
    found.unwrap_or_else(|e| panic!("{}: {e}; cargo build --release -p hessquik-cli makes it", path.display()))
}

/// The command with these arguments, separated by spaces, to run in `folder`.
pub fn command(hessquik: &Path, folder: &Path, args: &str) -> Command {
    let mut command = Command::new(hessquik);
    command.args(args.split_whitespace()).current_dir(folder).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    command
}

/// Waits for the child: its exit code, or the signal that ended it as a negative number, and its largest memory in bytes.
pub fn wait(child: &Child) -> (i32, u64) {
    let mut status = 0;
    // SAFETY: a plain structure of integers, for which zero is valid
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals; the child is ours and nobody else waits for it
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) };
    assert_eq!(waited, child.id() as libc::pid_t, "{}", std::io::Error::last_os_error());
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) };
    (code, usage.ru_maxrss as u64 * 1024)
}

/// The header of an `.npy` file of `points` points with two inputs in f32.
pub fn header(points: usize) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({points}, 2), }}");
    text.push_str(&" ".repeat((10 + text.len() + 1).next_multiple_of(64) - (10 + text.len() + 1)));
    text.push('\n');
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
}
