//! Devices by name, and their precisions.
use crate::Error;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
use burn::backend::CubeDevice;
use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device};

/// Names that [`device`] accepts, whether or not they are built in.
pub const DEVICES: [&str; 7] = ["auto", "cpu", "wgpu", "vulkan", "metal", "cuda", "rocm"];

/// The device with this name, and a note for the user (for example, that `auto` fell back to the CPU).
///
/// `cpu` is always available. `wgpu`, `vulkan`, `metal`, `cuda` and `rocm` are cargo features of the same names. `auto`
/// is the first built-in kind that has a GPU, else the CPU; it skips software renderers. `wgpu` accepts them too: tests
/// run on them.
///
/// # Errors
/// An unknown name, a feature that is not built in, or a missing driver or adapter; the message says what to install.
///
/// ```
/// let (device, note) = hessquik_burn::device("auto")?;
/// println!("{device:?} {}", note.unwrap_or_default());
/// # Ok::<(), hessquik_burn::Error>(())
/// ```
pub fn device(name: &str) -> Result<(Device, Option<String>), Error> {
    match name {
        "cpu" => Ok((Device::flex(), None)),
        "auto" => Ok(auto()),
        "wgpu" | "vulkan" | "metal" | "cuda" | "rocm" => Ok((gpu(name, true)?, None)),
        other => Err(Error::Device { name: other.into(), message: format!("known are {}", DEVICES.join(", ")) }),
    }
}

/// Whether networks can be evaluated on a device in a precision.
///
/// A device may have double precision but not the functions that activations need: for graphics APIs (`wgpu`, `vulkan`,
/// `metal`) the operand of Exp, Tanh, Sin and the like has 16 or 32 bits (SPIR-V, GLSL.std.450), and drivers do not
/// reject a wider operand but return a wrong result. There, f64 is not supported. The CPU and CUDA support it.
///
/// ```
/// use burn::tensor::DType;
/// let (cpu, _) = hessquik_burn::device("cpu")?;
/// assert!(hessquik_burn::supports(&cpu, DType::F64));
/// # Ok::<(), hessquik_burn::Error>(())
/// ```
pub fn supports(device: &Device, dtype: DType) -> bool {
    device.supports_dtype(dtype) && !(dtype == DType::F64 && is_graphics(device))
}

/// Whether the engine computes there.
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

fn is_graphics(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
        DispatchDevice::Cube(CubeDevice::Wgpu(_)) => true,
        _ => false,
    }
}

/// An error where a device does not have a precision.
pub(crate) fn supported(device: &Device, dtype: DType) -> Result<(), Error> {
    if supports(device, dtype) {
        return Ok(());
    }
    Err(Error::Precision {
        what: format!("the device {device:?}"),
        found: "F32 only".into(),
        wanted: format!("{dtype:?}: evaluate in f32 there, or on the device cpu"),
    })
}

/// The first GPU that is built in and there.
fn auto() -> (Device, Option<String>) {
    let mut missing = Vec::new();
    for name in ["cuda", "rocm", "metal", "vulkan", "wgpu"] {
        match gpu(name, false) {
            Ok(device) => return (device, None),
            Err(Error::Device { name, message }) => missing.push(format!("{name}: {message}")),
            Err(other) => missing.push(other.to_string()),
        }
    }
    let built = missing.iter().filter(|m| !m.contains("built without")).cloned().collect::<Vec<_>>();
    let why = if built.is_empty() { "built for the CPU only".to_string() } else { built.join("; ") };
    (Device::flex(), Some(format!("no GPU ({why}): on the CPU")))
}

fn missing(name: &str, message: impl Into<String>) -> Error {
    Error::Device { name: name.into(), message: message.into() }
}

/// A GPU, or a software renderer where these are allowed.
#[allow(unused_variables)] // without a GPU built in
fn gpu(name: &str, software: bool) -> Result<Device, Error> {
    match name {
        #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
        "wgpu" | "vulkan" | "metal" if api(name).is_some() => wgpu(name, software),
        #[cfg(feature = "cuda")]
        "cuda" => opened(name, "the NVIDIA driver and the CUDA toolkit (libcuda, nvrtc)", || Device::cuda(0usize)),
        #[cfg(feature = "rocm")]
        "rocm" => opened(name, "AMD's ROCm (HIP runtime)", || Device::rocm(0usize)),
        other => Err(missing(other, format!("built without it: build with the cargo feature {other}"))),
    }
}

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
use burn::backend::WgpuBackend;

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
fn api(name: &str) -> Option<WgpuBackend> {
    match name {
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(WgpuBackend::Auto),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(WgpuBackend::Vulkan),
        #[cfg(feature = "metal")]
        "metal" => Some(WgpuBackend::Metal),
        _ => None,
    }
}

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
fn wgpu(name: &str, software: bool) -> Result<Device, Error> {
    use burn::tensor::DeviceKind::{DefaultDevice, DiscreteGpu, IntegratedGpu, VirtualGpu};
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};
    /// A device is acquired once in a process: these were.
    static ACQUIRED: Mutex<BTreeMap<(String, bool), Device>> = Mutex::new(BTreeMap::new());

    let mut acquired = ACQUIRED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = acquired.get(&(name.to_string(), software)) {
        return Ok(device.clone());
    }
    let kinds = if software { vec![DefaultDevice] } else { vec![DiscreteGpu(0), IntegratedGpu(0), VirtualGpu(0)] };
    let mut failure = String::new();
    for kind in kinds {
        let options = Device::wgpu_options().device_kind(kind).graphics_api(api(name).expect("built in"));
        match options.init() {
            Ok(device) => {
                acquired.insert((name.to_string(), software), device.clone());
                return Ok(device);
            }
            Err(e) => failure = e.to_string(),
        }
    }
    let install = match name {
        "metal" => "it needs a Mac",
        "vulkan" => "install the Vulkan driver of the GPU and its loader (libvulkan1)",
        _ => "install the driver of the GPU and a loader (libvulkan1), or mesa-vulkan-drivers for a software renderer",
    };
    Err(missing(name, format!("no adapter: {}; {install}", failure.trim_end_matches('.'))))
}

/// A device that panics where its driver is missing, in threads of its own too, tried with one addition; what they would
/// print is the error here.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn opened(name: &str, driver: &str, open: impl FnOnce() -> Device + std::panic::UnwindSafe) -> Result<Device, Error> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let tried = std::panic::catch_unwind(|| {
        let device = open();
        let sum: f32 = burn::tensor::Tensor::<1>::ones([2], &device).sum().try_into_scalar().ok()?;
        (sum == 2.0).then_some(device)
    });
    std::panic::set_hook(hook);
    match tried {
        Ok(Some(device)) => Ok(device),
        _ => Err(missing(name, format!("it does not open; install {driver}"))),
    }
}
