//! The command's readers of points: an error or a matrix, the same however many rows are read at a time.
//!
//! The first byte chooses the kind of file and the number of columns that a model would want.
#![no_main]
#![allow(dead_code)] // of the command, the readers alone are used

#[path = "../../crates/hessquik-cli/src/element.rs"]
mod element;
#[path = "../../crates/hessquik-cli/src/failure.rs"]
mod failure;
#[path = "../../crates/hessquik-cli/src/points/mod.rs"]
mod points;

use libfuzzer_sys::fuzz_target;
use points::Points;
use std::path::PathBuf;
use std::sync::LazyLock;

/// One file of each kind, in memory where the system has such a folder.
static FILES: LazyLock<[PathBuf; 3]> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
    ["npy", "csv", "safetensors"].map(|ending| folder.join(format!("hessquik-fuzz-{}.{ending}", std::process::id())))
});

/// More numbers than this are not read: a header may promise what fits the file and takes long.
const MOST: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let file = &FILES[usize::from(choice % 3)];
    let width = [None, Some(1), Some(2), Some(3)][usize::from(choice / 3 % 4)];
    std::fs::write(file, bytes).expect("a place to write");
    let Ok(mut points) = Points::open(file, width) else { return };
    let (rows, cols) = (points.rows(), points.cols());
    if let Some(width) = width {
        assert_eq!(cols, width);
    }
    if rows.saturating_mul(cols.max(1)) > MOST {
        return;
    }
    let Ok(whole) = points.read::<f64>(rows) else { return };
    assert_eq!(whole.dim(), (rows, cols));
    let mut points = Points::open(file, width).expect("opened before");
    for first in (0..rows).step_by(3) {
        let some = points.read::<f64>(3).expect("read before");
        let wanted = whole.slice(ndarray::s![first..(first + 3).min(rows), ..]);
        assert!(some.iter().zip(wanted).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    let single = Points::open(file, width).expect("opened before").read::<f32>(rows);
    let fits = whole.iter().all(|x| !x.is_finite() || (*x as f32).is_finite());
    assert_eq!(single.is_ok(), fits);
});
