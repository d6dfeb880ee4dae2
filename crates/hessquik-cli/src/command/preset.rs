//! Networks that are known by name.
use crate::args::{NetworkType, Preset};
use hessquik::layer::{DeepONetSpec, FilterNetworkSpec, FourierSpec, ModifiedMlpSpec, PirateNetSpec};
use hessquik::{ActivationSpec as Act, Architecture};

/// Features of every layer of the presets that are newer than hessQuik.
const WIDTH: usize = 64;
/// Samples of the function that the branch of a DeepONet takes.
const SENSORS: usize = 100;

/// The description of a preset with `d` inputs and `m` outputs, or with its own.
pub fn architecture(preset: Preset, d: Option<usize>, m: Option<usize>) -> Result<Architecture, String> {
    let or = |d0, m0| (d.unwrap_or(d0), m.unwrap_or(m0));
    Ok(match preset {
        Preset::Peaks => residual(or(2, 1), (16, 4), 1.0, Act::Tanh, Act::Tanh),
        Preset::Pinn => residual(or(2, 1), (64, 4), 1.0, Act::Tanh, Act::Tanh),
        Preset::Timing => timing(NetworkType::Resnet, or(64, 8), (16, 4)),
        Preset::Icnn if m.is_some_and(|m| m != 1) => return Err("the preset icnn has one output".into()),
        Preset::Icnn => convex(d.unwrap_or(3)),
        Preset::Fourier => {
            let (d, m) = or(2, 1);
            chain([fourier(d), tanh([WIDTH; 4], Act::Tanh), single(WIDTH, m, Act::Identity)])
        }
        Preset::ModifiedMlp => {
            let (in_features, m) = or(2, 1);
            let gated = ModifiedMlpSpec { in_features, width: WIDTH, depth: 4, act: Act::Tanh };
            chain([Architecture::ModifiedMlp(gated), single(WIDTH, m, Act::Identity)])
        }
        Preset::Piratenet => {
            let (d, m) = or(2, 1);
            let blocks = PirateNetSpec { features: WIDTH, depth: 3, act: Act::Tanh };
            chain([fourier(d), Architecture::PirateNet(blocks), single(WIDTH, m, Act::Identity)])
        }
        Preset::Deeponet => {
            let (d, outputs) = or(2, 1);
            let n = WIDTH * outputs;
            let net = |inputs| Box::new(tanh([inputs, WIDTH, WIDTH, n], Act::Identity));
            Architecture::DeepONet(DeepONetSpec { branch: net(SENSORS), trunk: net(d), outputs })
        }
        Preset::Mfn => {
            let (d, m) = or(2, 1);
            let filters = FilterNetworkSpec::new(d, WIDTH, 4);
            chain([Architecture::Mfn(filters), single(WIDTH, m, Act::Identity)])
        }
    })
}

/// The networks that hessQuik times, with these inputs and outputs, width and depth. Their activations are hessQuik's, so
/// that times compare; with tanh the input convex network has the cost of one, but is not convex.
pub fn timing(network: NetworkType, (d, m): (usize, usize), (width, depth): (usize, usize)) -> Architecture {
    match network {
        NetworkType::Resnet => residual((d, m), (width, depth), 0.5, Act::AntiTanh, Act::Tanh),
        NetworkType::FullyConnected => {
            let widths: Vec<_> = [d].into_iter().chain(vec![width; depth]).chain([m]).collect();
            let layers = widths.windows(2).map(|w| single(w[0], w[1], Act::Tanh)).collect();
            Architecture::Network { layers }
        }
        NetworkType::Icnn => {
            let quadratic = Architecture::QuadraticIcnn { input_dim: d, in_features: Some(width), rank: 2 };
            Architecture::Network { layers: vec![icnn(d, (width, depth), Act::Tanh), quadratic] }
        }
    }
}

/// A single layer, residual layers, and a linear layer, with one activation.
#[cfg(feature = "train")]
pub fn fit(dims: (usize, usize), (width, depth): (usize, usize), h: f64, act: Act) -> Architecture {
    residual(dims, (width, depth), h, act, act)
}

fn chain<const N: usize>(layers: [Architecture; N]) -> Architecture {
    Architecture::Network { layers: layers.into() }
}

/// Half as many frequencies as features.
fn fourier(d: usize) -> Architecture {
    Architecture::Fourier(FourierSpec::new(d, WIDTH / 2, 1.0))
}

/// Single layers with tanh, the last of them with another activation.
fn tanh(widths: [usize; 4], last: Act) -> Architecture {
    let [a, b, c, d] = widths;
    chain([single(a, b, Act::Tanh), single(b, c, Act::Tanh), single(c, d, last)])
}

fn single(in_features: usize, out_features: usize, act: Act) -> Architecture {
    Architecture::Single { in_features, out_features, act, bias: true }
}

/// A single layer, residual layers (if any), and a linear layer.
fn residual((d, m): (usize, usize), (width, depth): (usize, usize), h: f64, first: Act, act: Act) -> Architecture {
    let middle = Architecture::Network { layers: vec![Architecture::Resnet { width, h, act, bias: true }; depth] };
    // a network without layers is none
    let middle = (depth > 0).then_some(middle);
    let layers = [single(d, width, first)].into_iter().chain(middle).chain([single(width, m, Act::Identity)]);
    Architecture::Network { layers: layers.collect() }
}

/// Input convex layers.
fn icnn(input_dim: usize, (width, depth): (usize, usize), act: Act) -> Architecture {
    let layer = |i| Architecture::Icnn {
        input_dim,
        in_features: (i > 0).then_some(width),
        out_features: width,
        act,
        bias: true,
    };
    Architecture::Network { layers: (0..depth).map(layer).collect() }
}

/// Three input convex layers and a quadratic one.
fn convex(input_dim: usize) -> Architecture {
    let layers = icnn(input_dim, (32, 3), Act::Softplus { beta: 1.0, threshold: 20.0 });
    let quadratic = Architecture::QuadraticIcnn { input_dim, in_features: Some(32), rank: input_dim.min(10) };
    Architecture::Network { layers: vec![layers, quadratic] }
}
