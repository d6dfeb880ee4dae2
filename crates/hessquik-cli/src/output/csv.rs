//! Results as text: one point in each line, one column for each number of a point.
use super::Tensor;
use crate::element::Element;
use crate::failure::Failure;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A text on its way.
#[derive(Debug)]
pub struct Csv {
    writer: BufWriter<File>,
    /// For each tensor, its numbers of the points that come next.
    waiting: Vec<Option<Vec<f64>>>,
}

/// The names of the columns of a tensor: `value`, `gradient_0`, `hessian_0_1`, and with several outputs `gradient_0_1` for
/// input 0 of output 1; points are `x0`, `x1`.
pub fn columns(tensor: &Tensor) -> Vec<String> {
    let axes = &tensor.shape[1..];
    let points = tensor.name == "x";
    let axes = match axes {
        [inner @ .., 1] if !points => inner,
        all => all,
    };
    let mut names = vec![tensor.name.clone()];
    for len in axes {
        let sign = if points { "" } else { "_" };
        names = names.iter().flat_map(|name| (0..*len).map(move |i| format!("{name}{sign}{i}"))).collect();
    }
    names
}

impl Csv {
    /// Writes the line of names.
    pub fn create(path: &Path, file: File, tensors: &[Tensor]) -> Result<Self, Failure> {
        let points = tensors.first().map_or(0, |t| t.shape[0]);
        if let Some(odd) = tensors.iter().find(|t| t.shape[0] != points || t.name == "factored.outer") {
            let message =
                format!("{} is not a per-point result, so a .csv cannot hold it; use another file type", odd.name);
            return Err(Failure::Usage(message));
        }
        let mut writer = BufWriter::with_capacity(1 << 16, file);
        let names: Vec<_> = tensors.iter().flat_map(columns).collect();
        writeln!(writer, "{}", names.join(",")).map_err(Failure::io(path))?;
        Ok(Self { writer, waiting: vec![None; tensors.len()] })
    }

    /// Takes numbers of the tensor of this index, and writes lines once all tensors have theirs.
    pub fn write<F: Element>(&mut self, index: usize, numbers: &[F], points: usize) -> std::io::Result<()> {
        self.waiting[index] = Some(numbers.iter().map(|number| number.as_f64()).collect());
        if self.waiting.iter().any(Option::is_none) {
            return Ok(());
        }
        let all: Vec<_> = self.waiting.iter_mut().filter_map(Option::take).collect();
        let mut line = String::new();
        for point in 0..points {
            line.clear();
            for numbers in &all {
                let each = numbers.len() / points;
                for number in &numbers[point * each..][..each] {
                    let comma = if line.is_empty() { "" } else { "," };
                    // the shortest text that is this number again
                    let _ = match F::NAME {
                        "f32" => write!(line, "{comma}{:?}", *number as f32),
                        _ => write!(line, "{comma}{number:?}"),
                    };
                }
            }
            line.push('\n');
            self.writer.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    /// The file, with all lines.
    pub fn finish(self) -> std::io::Result<File> {
        self.writer.into_inner().map_err(|e| e.into_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns() {
        let names = |name: &str, shape: &[usize]| columns(&Tensor::new(name, shape)).join(" ");
        assert_eq!(names("x", &[5, 2]), "x0 x1");
        assert_eq!(names("x", &[5, 1]), "x0");
        assert_eq!(names("value", &[5, 1]), "value");
        assert_eq!(names("value", &[5, 2]), "value_0 value_1");
        assert_eq!(names("gradient", &[5, 1, 1]), "gradient_0");
        assert_eq!(names("gradient", &[5, 2, 2]), "gradient_0_0 gradient_0_1 gradient_1_0 gradient_1_1");
        assert_eq!(names("hessian", &[5, 2, 2, 1]), "hessian_0_0 hessian_0_1 hessian_1_0 hessian_1_1");
    }
}
