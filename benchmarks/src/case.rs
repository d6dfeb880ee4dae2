//! Case files: a network, as hessquik keeps it, with the points `x` beside it; and results to compare.
use hessquik::{Network, Real};
use ndarray::{Array2, ArrayViewD};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::error::Error;
use std::path::Path;

/// A network and the points to evaluate it at.
pub struct Points<F> {
    /// The network.
    pub network: Network<F>,
    /// The points (n_s, d).
    pub x: Array2<F>,
}

impl<F: Real> Points<F> {
    /// Reads a case file, whose weights and points are of this element type.
    pub fn load(file: &str) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(file)?;
        let network = Network::from_bytes(&bytes)?;
        let tensors = SafeTensors::deserialize(&bytes)?;
        let x = tensors.tensor("x")?;
        let &[ns, d] = x.shape() else { return Err("the points x have not two axes".into()) };
        let single = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().expect("four bytes")));
        let double = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("eight bytes"));
        let entries = match x.dtype() {
            Dtype::F32 => x.data().chunks_exact(4).map(|b| F::of(single(b))).collect(),
            _ => x.data().chunks_exact(8).map(|b| F::of(double(b))).collect(),
        };
        Ok(Self { network, x: Array2::from_shape_vec((ns, d), entries)? })
    }
}

/// An array to be written: name, element type, shape and bytes.
type Entry = (String, Dtype, Vec<usize>, Vec<u8>);

/// Results by name, to be written as a safetensors file.
#[derive(Default)]
pub struct Results(Vec<Entry>);

impl Results {
    /// Adds an array of any strides.
    pub fn add<F: Real>(&mut self, name: impl Into<String>, array: ArrayViewD<F>) {
        let single = size_of::<F>() == 4;
        let mut bytes = Vec::with_capacity(array.len() * size_of::<F>());
        for v in &array {
            match single {
                true => bytes.extend_from_slice(&(v.as_f64() as f32).to_le_bytes()),
                false => bytes.extend_from_slice(&v.as_f64().to_le_bytes()),
            }
        }
        let dtype = if single { Dtype::F32 } else { Dtype::F64 };
        self.0.push((name.into(), dtype, array.shape().to_vec(), bytes));
    }

    /// Writes them.
    pub fn write(&self, out: &str) -> Result<(), Box<dyn Error>> {
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &self.0 {
            views.push((name, TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        Ok(safetensors::serialize_to_file(views, None, Path::new(out))?)
    }
}
