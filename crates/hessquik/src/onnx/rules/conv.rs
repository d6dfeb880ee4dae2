//! Convolutions and pooling, of any number of axes.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Value, count, local};
use super::Rule;
use super::shapes::permuted;
use crate::Var;
use ndarray::{ArrayD, IxDyn};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Conv" => |call| aside(call, conv),
        "ConvTranspose" => transposed,
        "AveragePool" => |call| aside(call, average),
        "MaxPool" => |call| aside(call, largest),
        "GlobalAveragePool" => |call| global(call, |v| v.mean(1)),
        "GlobalMaxPool" => |call| global(call, |v| v.max(1)),
        _ => return None,
    })
}

/// A window that moves over the axes after the channels.
struct Window {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// Before and after each axis.
    pads: Vec<[i64; 2]>,
    /// Lengths of the axes of the input and of the output.
    from: Vec<usize>,
    to: Vec<usize>,
}

fn positive(list: Option<Vec<i64>>, n: usize, name: &str) -> Result<Vec<usize>, String> {
    let Some(list) = list else { return Ok(vec![1; n]) };
    let found: Option<Vec<usize>> =
        list.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v > 0 && v < 1 << 24)).collect();
    found.filter(|f| f.len() == n).ok_or_else(|| format!("{name} is {list:?}, for {n} axes"))
}

impl Window {
    fn new(call: &Call, from: &[usize], kernel: Vec<usize>) -> Result<Self, String> {
        let n = from.len();
        let (strides, dilations) =
            (positive(call.list("strides"), n, "strides")?, positive(call.list("dilations"), n, "dilations")?);
        if kernel.len() != n || n == 0 || n > 8 {
            return Err(format!("a kernel of shape {kernel:?} for {n} axes"));
        }
        let given = call.list("pads").unwrap_or_else(|| vec![0; 2 * n]);
        if given.len() != 2 * n || given.iter().any(|p| !(-(1 << 24)..1 << 24).contains(p)) {
            return Err(format!("pads are {given:?}, for {n} axes"));
        }
        let mode = call.text("auto_pad", "NOTSET");
        let up = call.integer("ceil_mode", 0) == 1;
        let (mut pads, mut to) = (Vec::new(), Vec::new());
        for i in 0..n {
            let reach = ((kernel[i] - 1).saturating_mul(dilations[i]) + 1).min(1 << 40) as i64;
            let (len, step) = (from[i] as i64, strides[i] as i64);
            let pad = match mode.as_str() {
                "NOTSET" => [given[i], given[i + n]],
                "VALID" => [0, 0],
                "SAME_UPPER" | "SAME_LOWER" => {
                    let total = ((len + step - 1) / step * step - step + reach - len).max(0);
                    let (small, large) = (total / 2, total - total / 2);
                    if mode == "SAME_UPPER" { [small, large] } else { [large, small] }
                }
                _ => return Err(format!("auto_pad is {mode:?}")),
            };
            let room = len + pad[0] + pad[1] - reach;
            if room < 0 {
                return Err(format!("a kernel of shape {kernel:?} does not fit"));
            }
            let mut places = room / step + 1;
            // a last window that begins within the input or before it
            if up && room % step != 0 && places * step < len + pad[0] {
                places += 1;
            }
            pads.push(pad);
            to.push(places as usize);
        }
        Ok(Self { kernel, strides, dilations, pads, from: from.to_vec(), to })
    }

    fn taps(&self) -> usize {
        count(&self.kernel)
    }

    /// For each output and each tap of the kernel, the place of the input, or none where there is padding.
    fn places(&self) -> Vec<Option<usize>> {
        let n = self.from.len();
        let mut all = vec![Some(0)];
        for axis in 0..n {
            let stride = count(&self.from[axis + 1..]);
            all = all
                .iter()
                .flat_map(|at| {
                    (0..self.to[axis]).flat_map(move |o| (0..self.kernel[axis]).map(move |k| (o, k))).map(
                        move |(o, k)| {
                            let place = (o * self.strides[axis] + k * self.dilations[axis]) as i64 - self.pads[axis][0];
                            let inside = usize::try_from(place).ok().filter(|&p| p < self.from[axis])?;
                            Some((*at)? + inside * stride)
                        },
                    )
                })
                .collect();
        }
        // (out, tap, out, tap, ..) to (outs.., taps..)
        let shape: Vec<usize> = self.to.iter().zip(&self.kernel).flat_map(|(&o, &k)| [o, k]).collect();
        let order: Vec<usize> = (0..n).map(|i| 2 * i).chain((0..n).map(|i| 2 * i + 1)).collect();
        let all = ArrayD::from_shape_vec(IxDyn(&shape), all).expect("as many as there are");
        all.permuted_axes(IxDyn(&order)).iter().copied().collect()
    }
}

/// A rule of windows, where the points may also be on an axis along which each window holds one entry.
fn aside(call: &Call, rule: Rule) -> Outcome {
    let value = call.input(0)?;
    let Some(axis) = value.batch.map(|b| b.axis).filter(|&axis| axis >= 2 && value.shape[0] == 1) else {
        return rule(call);
    };
    let at = |list: Option<Vec<i64>>, i: usize, usual: i64| list.map_or(Some(usual), |list| list.get(i).copied());
    let (n, i) = (value.rank() - 2, axis - 2);
    let kernel = match call.list("kernel_shape") {
        Some(list) => list.get(i).copied(),
        None => call.input(1)?.shape.get(axis).map(|&k| k as i64),
    };
    let pads = [i, i + n].map(|i| at(call.list("pads"), i, 0));
    if kernel != Some(1) || at(call.list("strides"), i, 1) != Some(1) || pads != [Some(0); 2] {
        return rule(call);
    }
    let mut order: Vec<usize> = (0..value.rank()).collect();
    order.swap(0, axis);
    let mut inputs = call.inputs.clone();
    inputs[0] = Some(permuted(call, value, &order)?);
    let moved = Call { inputs, ..*call };
    rule(&moved)?.iter().map(|value| permuted(call, value, &order)).collect()
}

/// Images (n, channels, ..) at one point: how many there are, and their channels.
fn images(call: &Call, value: &Value) -> Result<(usize, usize), String> {
    if value.rank() < 3 {
        return Err("expected an array (n, channels, length, ..)".into());
    }
    for axis in 1..value.rank() {
        call.apart(value, axis)?;
    }
    Ok((value.local()[0], value.shape[1]))
}

/// Channels after a convolution, as an array with its bias.
fn with_bias(call: &Call, out: Var<f64>, shape: Vec<usize>, batch: Option<Batch>) -> Outcome {
    let out = match call.optional(2) {
        Some(bias) => {
            let bias = call.var(bias)?;
            let channels: Vec<usize> = std::iter::once(bias.len()).chain(shape[2..].iter().map(|_| 1)).collect();
            let inside = local(&shape, batch);
            out.reshape(&inside) + bias.reshape(&channels)
        }
        None => out,
    };
    Ok(vec![call.made(&out, shape, batch)?])
}

fn conv(call: &Call) -> Outcome {
    let (value, filters) = (call.input(0)?, call.input(1)?);
    let (n, channels) = images(call, value)?;
    let groups = usize::try_from(call.integer("group", 1)).unwrap_or(0);
    let rank = value.rank();
    if filters.rank() != rank || filters.batch.is_some() || groups == 0 {
        return Err("expected filters (channels out, channels / groups, ..)".into());
    }
    let (out, each) = (filters.shape[0], filters.shape[1]);
    if each * groups != channels || out % groups != 0 || count(&filters.shape) == 0 {
        return Err(format!("{channels} channels and {groups} groups do not fit the filters"));
    }
    let window = Window::new(call, &value.shape[2..], filters.shape[2..].to_vec())?;
    let (places, taps) = (count(&window.to), window.taps());
    call.roomy(count(&[n, channels, places, taps]))?;
    call.roomy(count(&[n, out, places]))?;
    let (area, found) = (count(&window.from), window.places());
    // (groups, images and places, channels and taps)
    let width = each * taps;
    let mut pairs = Vec::new();
    for g in 0..groups {
        for i in 0..n {
            for o in 0..places {
                let row = ((g * n + i) * places + o) * width;
                for c in 0..each {
                    let image = (i * channels + g * each + c) * area;
                    let taken = found[o * taps..(o + 1) * taps].iter().enumerate();
                    pairs.extend(taken.filter_map(|(t, at)| Some((image + (*at)?, row + c * taps + t))));
                }
            }
        }
    }
    let patches = call.desk.point.assembled(vec![groups, n * places, width], [(call.var(value)?, pairs)]);
    let rows = call.var(filters)?.reshape(&[groups, out / groups, width]);
    let mut result = rows.matmul_transposed(&patches);
    if n > 1 {
        result = result.reshape(&[out, n, places]).permute(&[1, 0, 2]);
    }
    let shape = [&[value.shape[0], out], &window.to[..]].concat();
    with_bias(call, result, shape, value.batch)
}

/// The adjoint of a convolution: each input adds the filters to its window of the output.
fn transposed(call: &Call) -> Outcome {
    let (value, filters) = (call.input(0)?, call.input(1)?);
    let (n, channels) = images(call, value)?;
    let groups = usize::try_from(call.integer("group", 1)).unwrap_or(0);
    let rank = value.rank();
    if filters.rank() != rank
        || filters.batch.is_some()
        || groups == 0
        || filters.shape[0] != channels
        || channels % groups != 0
    {
        return Err("expected filters (channels, channels out / groups, ..)".into());
    }
    if call.has("output_shape") || call.text("auto_pad", "NOTSET") != "NOTSET" {
        return Err("has output_shape or auto_pad; give pads and output_padding".into());
    }
    let kernel = filters.shape[2..].to_vec();
    let axes = kernel.len();
    let (strides, dilations) =
        (positive(call.list("strides"), axes, "strides")?, positive(call.list("dilations"), axes, "dilations")?);
    let pads = call.list("pads").unwrap_or_else(|| vec![0; 2 * axes]);
    let more = call.list("output_padding").unwrap_or_else(|| vec![0; axes]);
    if pads.len() != 2 * axes || more.len() != axes || kernel.contains(&0) {
        return Err(format!("pads are {pads:?} and output_padding {more:?}, for {axes} axes"));
    }
    let mut to = Vec::new();
    for i in 0..axes {
        let reach =
            strides[i].saturating_mul(value.shape[2 + i] - 1) + (kernel[i] - 1).saturating_mul(dilations[i]) + 1;
        let len = (reach.min(1 << 40) as i64)
            .checked_add(more[i])
            .and_then(|l| l.checked_sub(pads[i])?.checked_sub(pads[i + axes]));
        let len = len.and_then(|l| usize::try_from(l).ok()).filter(|&l| l > 0 && l < 1 << 24);
        to.push(len.ok_or_else(|| format!("pads {pads:?} leave nothing"))?);
    }
    // the window that leads from the output back to the input
    let pairs_of = |i: usize| [pads[i], pads[i + axes]];
    let window = Window {
        kernel,
        strides,
        dilations,
        pads: (0..axes).map(pairs_of).collect(),
        from: to.clone(),
        to: value.shape[2..].to_vec(),
    };
    let (out, each, taps) = (filters.shape[1] * groups, channels / groups, window.taps());
    let (places, area) = (count(&window.to), count(&to));
    call.roomy(count(&[n, out, places, taps]))?;
    call.roomy(count(&[n, out, area]))?;
    let wide = filters.shape[1] * taps;
    // (groups, channels out and taps, images and places)
    let weights = call.var(filters)?.reshape(&[groups, each, wide]).transpose();
    let inputs = call.var(value)?.reshape(&[n, groups, each, places]).permute(&[1, 2, 0, 3]);
    let spread = weights.matmul(&inputs.reshape(&[groups, each, n * places]));
    let found = window.places();
    let mut pairs = Vec::new();
    for g in 0..groups {
        for c in 0..filters.shape[1] {
            for t in 0..taps {
                for i in 0..n {
                    let image = (i * out + g * filters.shape[1] + c) * area;
                    let row = (((g * filters.shape[1] + c) * taps + t) * n + i) * places;
                    pairs.extend((0..places).filter_map(|o| Some((row + o, image + found[o * taps + t]?))));
                }
            }
        }
    }
    let shape = [&[value.shape[0], out], &to[..]].concat();
    let result = call.desk.point.assembled(local(&shape, value.batch), [(spread, pairs)]);
    with_bias(call, result, shape, value.batch)
}

/// The window of a pooling operator, and images times channels.
fn pooling(call: &Call) -> Result<(Window, usize), String> {
    let value = call.input(0)?;
    let (n, channels) = images(call, value)?;
    let kernel = positive(call.list("kernel_shape"), value.rank() - 2, "kernel_shape")?;
    let window = Window::new(call, &value.shape[2..], kernel)?;
    call.roomy(count(&[n, channels, count(&window.to), window.taps()]))?;
    Ok((window, n * channels))
}

fn average(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let (window, images) = pooling(call)?;
    let (places, taps, area) = (count(&window.to), window.taps(), count(&window.from));
    let found = window.places();
    let padded = call.integer("count_include_pad", 0) == 1;
    if padded && call.integer("ceil_mode", 0) == 1 {
        return Err("counts padding (count_include_pad) of windows that reach beyond it (ceil_mode)".into());
    }
    let counts: Vec<f64> =
        found.chunks(taps).map(|w| if padded { taps } else { w.iter().flatten().count() } as f64).collect();
    let mut pairs = Vec::new();
    for image in 0..images {
        let taken =
            found.iter().enumerate().filter_map(|(i, at)| Some((image * area + (*at)?, image * places + i / taps)));
        pairs.extend(taken);
    }
    let sums = call.desk.point.assembled(vec![images, places], [(call.var(value)?, pairs)]);
    let inverse = ArrayD::from_shape_vec(IxDyn(&[places]), counts.iter().map(|c| 1.0 / c).collect());
    let out = match counts.iter().all(|c| *c == counts[0]) {
        true => sums * (1.0 / counts[0]),
        false => sums * call.constant(&inverse.map_err(|e| e.to_string())?)?,
    };
    let shape = [&value.shape[..2], &window.to[..]].concat();
    Ok(vec![call.made(&out, shape, value.batch)?])
}

fn largest(call: &Call) -> Outcome {
    if call.node.outputs.len() > 1 && !call.node.outputs[1].is_empty() {
        return Err("gives the indices of the largest entries, which have no derivatives".into());
    }
    let value = call.input(0)?;
    let (window, images) = pooling(call)?;
    let (places, taps, area) = (count(&window.to), window.taps(), count(&window.from));
    let found = window.places();
    let mut pairs = Vec::new();
    for image in 0..images {
        let row = image * places * taps;
        pairs.extend(found.iter().enumerate().filter_map(|(i, at)| Some((image * area + (*at)?, row + i))));
    }
    let mut parts = vec![(call.var(value)?, pairs)];
    if found.iter().any(Option::is_none) {
        let outside = found.iter().map(|at| if at.is_none() { f64::MIN } else { 0.0 }).collect();
        let outside = ArrayD::from_shape_vec(IxDyn(&[places * taps]), outside).map_err(|e| e.to_string())?;
        let all = (0..images * places * taps).map(|i| (i % (places * taps), i)).collect();
        parts.push((call.constant(&outside)?, all));
    }
    let out = call.desk.point.assembled(vec![images * places, taps], parts).max(1);
    let shape = [&value.shape[..2], &window.to[..]].concat();
    Ok(vec![call.made(&out, shape, value.batch)?])
}

fn global(call: &Call, f: fn(&Var<f64>) -> Var<f64>) -> Outcome {
    let value = call.input(0)?;
    let (n, channels) = images(call, value)?;
    let rows = call.var(value)?.reshape(&[n * channels, count(&value.shape[2..])]);
    let mut shape = value.shape.clone();
    shape[2..].fill(1);
    Ok(vec![call.made(&f(&rows), shape, value.batch)?])
}
