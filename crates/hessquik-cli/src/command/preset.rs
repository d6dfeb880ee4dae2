//! Networks that are known by name.
use crate::args::Preset;
use hessquik::{ActivationSpec as Act, Architecture};

/// The description of a preset with `d` inputs and `m` outputs, or with its own.
pub fn architecture(preset: Preset, d: Option<usize>, m: Option<usize>) -> Result<Architecture, String> {
    let or = |d0, m0| (d.unwrap_or(d0), m.unwrap_or(m0));
    Ok(match preset {
        Preset::Peaks => residual(or(2, 1), 16, 1.0, Act::Tanh, Act::Tanh),
        Preset::Pinn => residual(or(2, 1), 64, 1.0, Act::Tanh, Act::Tanh),
        Preset::Timing => residual(or(64, 8), 16, 0.5, Act::AntiTanh, Act::Tanh),
        Preset::Icnn if m.is_some_and(|m| m != 1) => return Err("the preset icnn has one output".into()),
        Preset::Icnn => convex(d.unwrap_or(3)),
    })
}

/// A single layer, four residual layers, and a linear layer.
fn residual((d, m): (usize, usize), width: usize, h: f64, first: Act, act: Act) -> Architecture {
    let single = |in_features, out_features, act| Architecture::Single { in_features, out_features, act, bias: true };
    let resnet = Architecture::Resnet { width, h, act, bias: true };
    let middle = Architecture::Network { layers: vec![resnet; 4] };
    Architecture::Network { layers: vec![single(d, width, first), middle, single(width, m, Act::Identity)] }
}

/// Three input convex layers and a quadratic one.
fn convex(input_dim: usize) -> Architecture {
    let act = Act::Softplus { beta: 1.0, threshold: 20.0 };
    let icnn = |in_features| Architecture::Icnn { input_dim, in_features, out_features: 32, act, bias: true };
    let layers = vec![icnn(None), icnn(Some(32)), icnn(Some(32))];
    let quadratic = Architecture::QuadraticIcnn { input_dim, in_features: Some(32), rank: input_dim.min(10) };
    Architecture::Network { layers: vec![Architecture::Network { layers }, quadratic] }
}
