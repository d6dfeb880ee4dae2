//! The golden files: what hessQuik itself computed in double precision.
use hessquik::{Architecture, Gradients, Init, Jet, Network, Real};
use ndarray::{Array, Array2, ArrayD, Dimension, IxDyn};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One golden file.
pub struct Golden {
    pub name: String,
    pub architecture: Architecture,
    pub x: Array2<f64>,
    /// Value, gradient, Hessian and Laplacian.
    pub jet: Jet<f64>,
    /// Cotangents of value, gradient and Hessian.
    pub cotangent: Jet<f64>,
    weights: BTreeMap<String, ArrayD<f64>>,
    vjp: BTreeMap<String, ArrayD<f64>>,
}

/// All golden files, in the order of their names.
pub fn all() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "safetensors"));
    paths.sort();
    assert_eq!(paths.len(), 18, "golden files in {}", folder.display());
    paths.iter().map(|p| read(p)).collect()
}

fn read(path: &Path) -> Golden {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let json = &header.metadata().as_ref().expect("metadata")["architecture"];
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: BTreeMap<String, ArrayD<f64>> = BTreeMap::new();
    for (name, view) in file.tensors() {
        assert_eq!(view.dtype(), safetensors::Dtype::F64, "{name}");
        let data = view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
        tensors.insert(name, ArrayD::from_shape_vec(IxDyn(view.shape()), data).unwrap());
    }
    let mut starting_with = |prefix: &str| -> BTreeMap<String, ArrayD<f64>> {
        let names: Vec<String> = tensors.keys().filter(|n| n.starts_with(prefix)).cloned().collect();
        names.into_iter().map(|n| (n[prefix.len()..].to_owned(), tensors.remove(&n).unwrap())).collect()
    };
    let (weights, vjp, mut bar) = (starting_with("weights."), starting_with("vjp."), starting_with("cotangent."));
    let golden = Golden {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        architecture: Architecture::from_json(json).unwrap(),
        x: take(&mut tensors, "x"),
        jet: Jet {
            value: Some(take(&mut tensors, "value")),
            gradient: Some(take(&mut tensors, "gradient")),
            hessian: Some(take(&mut tensors, "hessian")),
            laplacian: Some(take(&mut tensors, "laplacian")),
            ..Jet::default()
        },
        cotangent: Jet {
            value: Some(take(&mut bar, "value")),
            gradient: Some(take(&mut bar, "gradient")),
            hessian: Some(take(&mut bar, "hessian")),
            ..Jet::default()
        },
        weights,
        vjp,
    };
    assert!(tensors.is_empty() && bar.is_empty(), "{}: not looked at: {:?}", golden.name, tensors.keys());
    golden
}

/// The tensor called `name`, with its number of axes.
fn take<D: Dimension>(tensors: &mut BTreeMap<String, ArrayD<f64>>, name: &str) -> Array<f64, D> {
    tensors.remove(name).unwrap_or_else(|| panic!("no tensor {name}")).into_dimensionality().unwrap()
}

impl Golden {
    /// The network of the file.
    pub fn network<F: Real>(&self) -> Network<F> {
        use hessquik::Layer;
        let mut network = self.architecture.build::<F>(&mut Init::zeros()).unwrap();
        let names: Vec<String> = network.weights().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names.len(), self.weights.len(), "{}: {names:?}", self.name);
        for (name, w) in &self.weights {
            network.set_weight(name, w.mapv(F::of).view()).unwrap();
        }
        network
    }

    /// The gradients that the file expects, weights in the order of the flat vector.
    pub fn gradients<F: Real>(&self, network: &Network<F>) -> Gradients<f64> {
        use hessquik::Layer;
        assert_eq!(self.vjp.len(), self.weights.len() + 1, "{}: every weight and x have a gradient", self.name);
        let flat =
            network.weights().into_iter().flat_map(|(name, _)| self.vjp[&name].iter().copied().collect::<Vec<_>>());
        Gradients { weights: flat.collect(), input: self.vjp["x"].clone().into_dimensionality().unwrap() }
    }
}
