//! Runs the command, and reads and writes the files of its tests.
#![allow(dead_code)] // each test file uses a part of it
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the command did.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The JSON object on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// The run, which must have succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The run, which must have ended with this code and a message of one line that contains all of `words`.
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        let line = self.stderr.lines().next().unwrap_or_default();
        assert!(line.starts_with("error: ") && !self.stderr.contains("panicked"), "{self:?}");
        assert!(code == 2 || self.stderr.trim_end().lines().count() == 1, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {:?}", self.stderr);
        }
        self
    }
}

fn run(command: &mut Command) -> Run {
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: out.status.code().unwrap_or(-1), stdout: text(out.stdout), stderr: text(out.stderr) }
}

/// A folder for one test, where its commands run.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the command with these arguments, separated by spaces.
    pub fn run(&self, args: &str) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
        run(command.args(args.split_whitespace()).current_dir(self.0.path()))
    }

    /// Runs a line of shell, in which `hessquik` is the command and `$PEAKS` a model with two inputs.
    pub fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("bash");
        command.env("PEAKS", golden("peaks_resnet")).env("HESSQUIK", env!("CARGO_BIN_EXE_hessquik"));
        run(command.args(["-c", &format!("hessquik() {{ \"$HESSQUIK\" \"$@\"; }}; {line}")]).current_dir(self.0.path()))
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Names of the files in the folder, to find out whether something was left behind.
    pub fn names(&self) -> Vec<String> {
        self.names_in("")
    }

    /// Names of the files in a folder within it.
    pub fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn tensors(&self, name: &str) -> BTreeMap<String, Tensor> {
        tensors(&self.path(name))
    }

    pub fn npy(&self, name: &str) -> Tensor {
        read_npy(&self.path(name))
    }
}

/// Shape and numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub dtype: String,
    pub shape: Vec<usize>,
    pub numbers: Vec<f64>,
}

impl Tensor {
    /// Asserts equality up to a relative error of the largest entry.
    pub fn close(&self, other: &Self, tolerance: f64) {
        assert_eq!(self.shape, other.shape);
        let scale = other.numbers.iter().fold(1e-300, |m: f64, x| m.max(x.abs()));
        for (a, b) in self.numbers.iter().zip(&other.numbers) {
            assert!((a - b).abs() <= tolerance * scale, "{a} is not {b} within {tolerance} of {scale}");
        }
    }
}

/// The path of a file of numbers that hessQuik computed; it is a model and points, too.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(format!("{name}.safetensors"))
}

fn numbers(dtype: &str, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        "F32" | "<f4" => bytes.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
        "F64" | "<f8" => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        other => panic!("unexpected type {other}"),
    }
}

pub fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let one = |(name, view): (String, safetensors::tensor::TensorView)| {
        let dtype = format!("{:?}", view.dtype());
        let numbers = numbers(&dtype, view.data());
        (name, Tensor { dtype, shape: view.shape().into(), numbers })
    };
    file.tensors().into_iter().map(one).collect()
}

pub fn read_npy(path: &Path) -> Tensor {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(end % 64, 0);
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    assert!(header.contains("'fortran_order': False") && header.ends_with('\n'), "{header:?}");
    let dtype = header.split('\'').nth(3).unwrap().to_string();
    let tuple = header.split(['(', ')']).nth(1).unwrap();
    let shape = tuple.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    let numbers = numbers(&dtype, &bytes[end..]);
    Tensor { dtype, shape, numbers }
}

/// A `.npy` file with this header entry and these bytes.
pub fn npy(version: u8, descr: &str, fortran: bool, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut file = vec![0x93, b'N', b'U', b'M', b'P', b'Y', version, 0];
    match version {
        1 => file.extend((header.len() as u16).to_le_bytes()),
        _ => file.extend((header.len() as u32).to_le_bytes()),
    }
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

/// The points of a golden file as `.npy`, of type `<f8`.
pub fn npy_of(tensor: &Tensor) -> Vec<u8> {
    let bytes: Vec<u8> = tensor.numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let shape: String = tensor.shape.iter().map(|n| format!("{n}, ")).collect();
    npy(1, "'<f8'", false, &format!("({shape})"), &bytes)
}
