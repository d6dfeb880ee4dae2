//! The worker for hessquik on a device of Burn; run by `gpu.py`, which names the device as the one argument.
use burn::tensor::{DType, Device, Tensor, TensorData};
use hessquik::{Network, Real, Request};
use hessquik_benchmarks::{Case, Kind, Points, Results, serve};
use hessquik_burn::{Evaluate, FlatNetwork, Jets};
use ndarray::{Array1, ArrayD, IxDyn};
use std::error::Error;
use std::hint::black_box;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("on_device DEVICE, one of those of hessquik_burn::device")?;
    let (device, _) = hessquik_burn::device(&name)?;
    serve(|load| {
        let kind = Kind::parse(load.kind)?;
        if !matches!(kind, Kind::Hessian | Kind::Laplacian | Kind::Training) {
            return Err(format!("a device has no {}", load.kind).into());
        }
        Ok(match load.dtype {
            "f32" => Box::new(DeviceCase::<f32>::new(Points::load(load.file)?, kind, device.clone())?),
            _ => Box::new(DeviceCase::<f64>::new(Points::load(load.file)?, kind, device.clone())?),
        })
    });
    Ok(())
}

/// A network and its points, both on the device; results stay there.
struct DeviceCase<F> {
    library: Network<F>,
    network: FlatNetwork,
    x: Tensor<2>,
    kind: Kind,
    request: Request<f64>,
    device: Device,
}

impl<F: Real> DeviceCase<F> {
    fn new(points: Points<F>, kind: Kind, device: Device) -> Result<Self, hessquik_burn::Error> {
        let Points { network: library, x } = points;
        let own = if kind == Kind::Training { device.clone().autodiff() } else { device.clone() };
        let network = FlatNetwork::from_library(&library, &own)?;
        let dtype = if F::NAME == "f32" { DType::F32 } else { DType::F64 };
        let data = TensorData::new(x.iter().map(|v| v.as_f64()).collect::<Vec<_>>(), [x.nrows(), x.ncols()]);
        let x = Tensor::from_data(data.convert_dtype(dtype), (&own, dtype));
        Ok(Self { library, network, x, kind, request: kind.request(), device })
    }

    fn jets(&self) -> Result<Jets, hessquik_burn::Error> {
        self.network.evaluate(self.x.clone(), &self.request)
    }

    /// A training step's loss and its gradient to all weights.
    fn training(&self) -> Result<(Tensor<1>, Tensor<1>), hessquik_burn::Error> {
        let jets = self.jets()?;
        let half = |mean: Tensor<1>| mean * 0.5;
        let loss = half(jets.value.expect("asked for").square().mean())
            + half(jets.gradient.expect("asked for").square().mean())
            + half(jets.hessian.expect("asked for").square().mean());
        let gradient = self.network.theta.val().grad(&loss.backward()).expect("all weights are used");
        Ok((loss.inner(), gradient))
    }
}

/// A tensor's entries, with the axis of the outputs, the last, right after that of the samples.
fn outputs_second<F: Real, const D: usize>(tensor: Tensor<D>) -> Result<ArrayD<F>, Box<dyn Error>> {
    let dims = tensor.dims();
    let entries = tensor.into_data().convert::<f64>().try_into_vec::<f64>().map_err(|e| format!("{e:?}"))?;
    let array = ArrayD::from_shape_vec(IxDyn(&dims), entries)?.mapv(F::of);
    let axes: Vec<_> = [0, D - 1].into_iter().chain(1..D - 1).take(D).collect();
    Ok(array.permuted_axes(axes))
}

impl<F: Real> Case for DeviceCase<F> {
    fn modes(&self) -> Vec<&'static str> {
        vec!["automatic"]
    }

    fn call(&mut self, _: &str) -> Result<(), Box<dyn Error>> {
        match self.kind {
            Kind::Training => drop(black_box(self.training()?)),
            _ => drop(black_box(self.jets()?)),
        }
        self.device.sync().map_err(|e| format!("{e:?}"))?;
        Ok(())
    }

    fn save(&mut self, _: &str, out: &str) -> Result<(), Box<dyn Error>> {
        let mut results = Results::default();
        if self.kind == Kind::Training {
            let (loss, gradient) = self.training()?;
            results.add("loss", outputs_second::<F, 1>(loss)?.into_shape_with_order(IxDyn(&[]))?.view());
            let gradient: Array1<F> = outputs_second(gradient)?.into_dimensionality()?;
            for (name, array) in self.library.by_name(gradient.view())? {
                results.add(format!("weights.{name}"), array.view());
            }
            return results.write(out);
        }
        let jets = self.jets()?;
        let arrays = [
            ("value", jets.value.map(outputs_second::<F, 2>).transpose()?),
            ("gradient", jets.gradient.map(outputs_second::<F, 3>).transpose()?),
            ("hessian", jets.hessian.map(outputs_second::<F, 4>).transpose()?),
            ("laplacian", jets.laplacian.map(outputs_second::<F, 2>).transpose()?),
        ];
        for (name, array) in arrays {
            if let Some(array) = array {
                results.add(name, array.view());
            }
        }
        results.write(out)
    }
}
