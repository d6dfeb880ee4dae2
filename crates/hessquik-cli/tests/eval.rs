//! `hessquik eval`: every input, every output, against numbers that hessQuik computed.
mod support;
use support::{Folder, Tensor, golden, npy, npy_of, tensors};

const RESULTS: [&str; 4] = ["value", "gradient", "hessian", "laplacian"];

/// Evaluates a golden model at the points in `input`.
fn eval(folder: &Folder, model: &str, input: &str, more: &str) -> serde_json::Value {
    let model = golden(model);
    folder.run(&format!("eval {} --input {input} {more} --json", model.display())).ok().json()
}

fn transposed(x: &Tensor) -> Vec<u8> {
    let (n, d) = (x.shape[0], x.shape[1]);
    (0..d).flat_map(|j| (0..n).flat_map(move |s| x.numbers[s * d + j].to_le_bytes())).collect()
}

#[test]
fn golden_models_at_golden_points() {
    for model in ["peaks_resnet", "icnn_network", "blocks", "paper_timing", "single_softplus", "quadratic_layer"] {
        let (folder, want) = (Folder::new(), tensors(&golden(model)));
        let input = golden(model).display().to_string();
        let json =
            eval(&folder, model, &input, "--request value,gradient,hessian,laplacian,diagonal -o out.safetensors");
        let found = folder.tensors("out.safetensors");
        assert_eq!(json["points"], want["x"].shape[0]);
        assert_eq!(found.len(), 5);
        for name in RESULTS {
            found[name].close(&want[name], 1e-12);
            assert_eq!(found[name].dtype, "F64");
        }
        let (d, m) = (want["x"].shape[1], want["value"].shape[1]);
        let hessian = &want["hessian"].numbers;
        let diagonal =
            hessian.chunks(d * d * m).flat_map(|h| (0..d * m).map(move |i| h[(i / m * (d + 1)) * m + i % m]));
        let want = Tensor { numbers: diagonal.collect(), ..want["gradient"].clone() };
        found["diagonal"].close(&want, 1e-12);
        assert_eq!(folder.names(), ["out.safetensors"]);
    }
}

#[test]
fn every_input_gives_the_same() {
    let want = tensors(&golden("peaks_resnet"));
    let x = &want["x"];
    let folder = Folder::new();
    let rows = |separator: &str| {
        let rows = x.numbers.chunks(2).map(|row| format!("{}{separator}{}\n", row[0], row[1]));
        rows.collect::<String>()
    };
    let little: Vec<u8> = x.numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let big: Vec<u8> = x.numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    folder.write("1.npy", npy(1, "'<f8'", false, "(50, 2)", &little));
    folder.write("2.npy", npy(2, "'>f8'", false, "(50, 2)", &big));
    folder.write("3.npy", npy(3, "\"<f8\"", false, "(50,2,)", &little));
    folder.write("t.npy", npy(1, "'<f8'", true, "(50, 2)", &transposed(x)));
    folder.write("a.csv", rows(","));
    folder.write("b.csv", format!("x, y\n# points\n\n{}\n\n", rows(" , ")));
    folder.write("c.csv", rows(";").replace('\n', "\r\n"));
    folder.write("d.tsv", format!("# made by hand\n{}", rows("\t")));
    folder.write("e.txt", rows("   ").replace("\n", "\n  "));
    folder.write("f.csv", rows(",").trim_end());
    for input in ["1.npy", "2.npy", "3.npy", "t.npy", "a.csv", "b.csv", "c.csv", "d.tsv", "e.txt", "f.csv"] {
        for tile in [7, 1000] {
            eval(&folder, "peaks_resnet", input, &format!("--tile {tile} -o {input}.safetensors"));
            let found = folder.tensors(&format!("{input}.safetensors"));
            assert_eq!(found.len(), 3);
            for (name, tensor) in found {
                tensor.close(&want[&name], 1e-12);
            }
        }
    }
}

#[test]
fn tiles_and_threads_change_nothing() {
    let folder = Folder::new();
    folder.run("peaks -n 1000 -o x.safetensors").ok();
    folder.run("new --preset peaks --dtype f64 -o m.safetensors").ok();
    let run = |more: &str, out: &str| {
        folder.run(&format!("eval m.safetensors -i x.safetensors -r value,hessian,packed {more} -o {out}")).ok();
        folder.tensors(out)
    };
    let all = run("", "all.safetensors");
    for (i, more) in ["--threads 1", "--threads 3", "--tile 1000"].into_iter().enumerate() {
        assert_eq!(run(more, &format!("{i}.safetensors")), all, "{more}");
    }
    for tile in [1, 7, 333] {
        for (name, tensor) in run(&format!("--tile {tile}"), &format!("tile{tile}.safetensors")) {
            tensor.close(&all[&name], 1e-14); // sums of products may be taken in another order
        }
    }
}

#[test]
fn folder_of_npy() {
    let (folder, want) = (Folder::new(), tensors(&golden("fully_connected")));
    folder.write("x.npy", npy_of(&want["x"]));
    for _ in 0..2 {
        eval(&folder, "fully_connected", "x.npy", "--request value,gradient,hessian,laplacian --tile 4 -o out");
        for name in RESULTS {
            folder.npy(&format!("out/{name}.npy")).close(&want[name], 1e-12);
        }
        assert_eq!(folder.names(), ["out", "x.npy"]);
    }
    // a later run into the same folder replaces what the earlier one left, and nothing else
    folder.write("out/notes.txt", "mine");
    eval(&folder, "fully_connected", "x.npy", "--request value -o out/");
    assert_eq!(folder.names_in("out"), [".hessquik.json", "notes.txt", "value.npy"]);
}

#[test]
fn precision() {
    let (folder, want) = (Folder::new(), tensors(&golden("peaks_resnet")));
    let single: Vec<u8> = want["x"].numbers.iter().flat_map(|n| (*n as f32).to_le_bytes()).collect();
    let widened: Vec<u8> = want["x"].numbers.iter().flat_map(|n| f64::from(*n as f32).to_le_bytes()).collect();
    folder.write("f4.npy", npy(1, "'<f4'", false, "(50, 2)", &single));
    folder.write("f8.npy", npy(1, "'<f8'", false, "(50, 2)", &widened));
    eval(&folder, "peaks_resnet", "f4.npy", "-o a.safetensors");
    eval(&folder, "peaks_resnet", "f8.npy", "-o b.safetensors");
    eval(&folder, "peaks_resnet", "f4.npy", "--dtype f32 -o c.safetensors");
    eval(&folder, "peaks_resnet", "f4.npy", "--dtype f32 -o c");
    let (a, b, c) = (folder.tensors("a.safetensors"), folder.tensors("b.safetensors"), folder.tensors("c.safetensors"));
    assert_eq!(a, b);
    for (name, tensor) in c {
        assert_eq!(tensor.dtype, "F32");
        tensor.close(&a[&name], 1e-5);
        let npy = folder.npy(&format!("c/{name}.npy"));
        assert_eq!((npy.dtype.as_str(), &npy.numbers), ("<f4", &tensor.numbers));
    }
    // integers are points, too
    folder.write("i.npy", npy(1, "'<i8'", false, "(1, 2)", &[1i64, -2].map(i64::to_le_bytes).concat()));
    folder.write("i.csv", "1,-2");
    eval(&folder, "peaks_resnet", "i.npy", "-o i.safetensors");
    eval(&folder, "peaks_resnet", "i.csv", "-o j.safetensors");
    assert_eq!(folder.tensors("i.safetensors"), folder.tensors("j.safetensors"));
    // without --dtype, results have the type of the weights
    folder.run("new --preset peaks -o m.safetensors").ok();
    folder.run("eval m.safetensors -i f8.npy -o d.safetensors").ok();
    assert_eq!(folder.tensors("d.safetensors")["value"].dtype, "F32");
}

#[test]
fn other_results_come_from_the_hessian() {
    let (folder, want) = (Folder::new(), tensors(&golden("blocks")));
    let h = |s: usize, a: usize, b: usize| want["hessian"].numbers[(s * 3 + a) * 3 + b];
    let column = |f: &dyn Fn(usize) -> Vec<f64>, shape: &[usize]| Tensor {
        dtype: "F64".into(),
        shape: [&[11], shape].concat(),
        numbers: (0..11).flat_map(f).collect(),
    };
    folder.write("x.npy", npy_of(&want["x"]));
    folder.write("b.csv", "1 2 0\n0 -1 0\n0 0 3\n");
    folder.write("w.csv", "1 0 2\n");
    folder.write("v.csv", "0 1 0\n");
    let request = "--request partials:0-1+2-2,block:0+1/2,packed --operator b.csv --products w.csv";
    eval(&folder, "blocks", "x.npy", &format!("{request} -o out.safetensors"));
    let found = folder.tensors("out.safetensors");
    assert_eq!(found.len(), 5);
    found["partials"].close(&column(&|s| vec![h(s, 0, 1), h(s, 2, 2)], &[2, 1]), 1e-12);
    found["block"].close(&column(&|s| vec![h(s, 0, 2), h(s, 1, 2)], &[2, 1, 1]), 1e-12);
    let packed = |s| vec![h(s, 0, 0), h(s, 0, 1), h(s, 0, 2), h(s, 1, 1), h(s, 1, 2), h(s, 2, 2)];
    found["packed"].close(&column(&packed, &[6, 1]), 1e-12);
    let operator = |s| vec![h(s, 0, 0) + 2.0 * h(s, 0, 1) - h(s, 1, 1) + 3.0 * h(s, 2, 2)];
    found["operator"].close(&column(&operator, &[1]), 1e-12);
    let products = |s| (0..3).map(|a| h(s, a, 0) + 2.0 * h(s, a, 2)).collect();
    found["products"].close(&column(&products, &[3, 1, 1]), 1e-12);

    eval(&folder, "blocks", "x.npy", "--directions v.csv --request gradient,hessian -o v.safetensors");
    let found = folder.tensors("v.safetensors");
    found["hessian"].close(&column(&|s| vec![h(s, 1, 1)], &[1, 1, 1]), 1e-12);
    found["gradient"].close(&column(&|s| vec![want["gradient"].numbers[3 * s + 1]], &[1, 1]), 1e-12);

    // the factored Hessian: H = M C M^T
    eval(&folder, "blocks", "x.npy", "--request factored --tile 4 -o f");
    let (outer, core) = (folder.npy("f/factored.outer.npy"), folder.npy("f/factored.core.npy"));
    let p = outer.shape[1];
    let entry = |s: usize, a: usize, b: usize| {
        let terms = (0..p * p).map(|ij| {
            let (i, j) = (ij / p, ij % p);
            outer.numbers[a * p + i] * core.numbers[(s * p + i) * p + j] * outer.numbers[b * p + j]
        });
        terms.sum::<f64>()
    };
    let full = |s| (0..9).map(|ab| entry(s, ab / 3, ab % 3)).collect();
    column(&full, &[3, 3, 1]).close(&want["hessian"], 1e-11);
}

#[test]
fn output_directions_and_modes() {
    let (folder, want) = (Folder::new(), tensors(&golden("fully_connected")));
    folder.write("x.npy", npy_of(&want["x"]));
    folder.write("u.csv", "1\n0\n0\n0\n0\n-1\n");
    eval(&folder, "fully_connected", "x.npy", "--outputs u.csv --request value -o u");
    let value = folder.npy("u/value.npy");
    let numbers = want["value"].numbers.chunks(6).map(|v| v[0] - v[5]).collect();
    value.close(&Tensor { dtype: "<f8".into(), shape: vec![11, 1], numbers }, 1e-12);
    for mode in ["forward", "backward", "sites", "auto"] {
        eval(&folder, "fully_connected", "x.npy", &format!("--mode {mode} -r hessian -o {mode}"));
        folder.npy(&format!("{mode}/hessian.npy")).close(&want["hessian"], 1e-12);
    }
}

#[test]
fn no_points_and_one_point() {
    let (folder, want) = (Folder::new(), tensors(&golden("peaks_resnet")));
    let one: Vec<u8> = want["x"].numbers[..2].iter().flat_map(|n| n.to_le_bytes()).collect();
    folder.write("0.npy", npy(1, "'<f8'", false, "(0, 2)", &[]));
    folder.write("0.csv", "x,y\n");
    folder.write("1.npy", npy(1, "'<f8'", false, "(2,)", &one));
    for input in ["0.npy", "0.csv"] {
        let json = eval(&folder, "peaks_resnet", input, "-o 0.safetensors");
        assert_eq!(json["points"], 0);
        assert_eq!(folder.tensors("0.safetensors")["hessian"].shape, [0, 2, 2, 1]);
        eval(&folder, "peaks_resnet", input, "-o 0");
        assert_eq!(folder.npy("0/hessian.npy").shape, [0, 2, 2, 1]);
    }
    eval(&folder, "peaks_resnet", "1.npy", "-o 1.safetensors");
    let found = folder.tensors("1.safetensors");
    assert_eq!(found["gradient"].shape, [1, 2, 1]);
    assert!((found["value"].numbers[0] - want["value"].numbers[0]).abs() < 1e-12);
}

#[cfg(unix)]
#[test]
fn outputs_are_ordinary_files_and_links_are_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new();
    folder.write("x.csv", "1,2");
    folder.write("plain", "");
    folder.write("real.safetensors", "old");
    symlink("real.safetensors", folder.path("link.safetensors")).unwrap();
    eval(&folder, "peaks_resnet", "x.csv", "-o link.safetensors --force");
    eval(&folder, "peaks_resnet", "x.csv", "-o out");
    assert!(folder.path("link.safetensors").is_symlink());
    assert_eq!(folder.tensors("real.safetensors").len(), 3);
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("real.safetensors"), mode("plain"));
    assert_eq!(mode("out/value.npy"), mode("plain"));
}

/// Shares of the points, as several processes take them, are together the results of one.
#[test]
fn shares_are_parts_of_the_whole() {
    let folder = Folder::new();
    let x = &tensors(&golden("peaks_resnet"))["x"];
    let rows: String = x.numbers.chunks(2).map(|row| format!("{},{}\n", row[0], row[1])).collect();
    let bytes: Vec<u8> = x.numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    folder.write("x.csv", rows);
    folder.write("x.npy", npy(1, "'<f8'", false, "(50, 2)", &bytes));
    folder.write("t.npy", npy(1, "'<f8'", true, "(50, 2)", &transposed(x)));
    eval(&folder, "peaks_resnet", "x.npy", "--request value,hessian -o all.safetensors");
    let all = folder.tensors("all.safetensors");
    for input in ["x.csv", "x.npy", "t.npy"] {
        let (mut value, mut hessian) = (Vec::new(), Vec::new());
        for part in 0..3 {
            let more = format!("--request value,hessian --tile 7 --share {part}/3 -o out.safetensors");
            let json = eval(&folder, "peaks_resnet", input, &more);
            assert_eq!(json["output"], format!("out.{part}-of-3.safetensors"));
            let found = folder.tensors(&format!("out.{part}-of-3.safetensors"));
            value.extend(found["value"].numbers.clone());
            hessian.extend(found["hessian"].numbers.clone());
        }
        assert_eq!(value.len(), all["value"].numbers.len());
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-14 * b.abs().max(1.0));
        assert!(close(&value, &all["value"].numbers) && close(&hessian, &all["hessian"].numbers), "{input}");
    }
    // more shares than points: some are empty
    folder.write("two.csv", "0.1,0.2\n0.3,0.4\n");
    let json = eval(&folder, "peaks_resnet", "two.csv", "--request value --share 0/3 -o few");
    assert_eq!((json["points"].as_u64(), json["output"].as_str()), (Some(0), Some("few.0-of-3")));
    let model = golden("peaks_resnet").display().to_string();
    for (share, words) in
        [("3/3", "numbered from 0"), ("x", "expected I/N"), ("auto", "no rank is set in the environment")]
    {
        folder.run(&format!("eval {model} --input x.npy --share {share} -o out")).fails(2, &[words]);
    }
}

#[test]
fn operators_by_terms() {
    let (folder, want) = (Folder::new(), tensors(&golden("blocks")));
    folder.write("x.npy", npy_of(&want["x"]));
    let request = "value,gradient,hessian,partials:0-0-0+1-2-2-1,operator:=.5+0=-1e+0+1-0=2+0-0-0+1-1-2-2=-3";
    eval(&folder, "blocks", "x.npy", &format!("--request {request} -o out.safetensors"));
    let found = folder.tensors("out.safetensors");
    let at = |name: &str, i: usize| found[name].numbers[i];
    for (s, operator) in found["operator"].numbers.iter().enumerate() {
        let second = 0.5 * at("value", s) - at("gradient", 3 * s) + 2.0 * at("hessian", 9 * s + 1);
        let wanted = second + at("partials", 2 * s) - 3.0 * at("partials", 2 * s + 1);
        assert!((operator - wanted).abs() < 1e-11 * wanted.abs().max(1.0), "{operator} for {wanted} at {s}");
    }
    folder.write("b.csv", "1 2 0\n0 -1 0\n0 0 3\n");
    let line = |request: &str| format!("eval {} --input x.npy -o no --request {request}", golden("blocks").display());
    for (code, request, words) in [
        (3, "operator:0=1 --operator b.csv", ["matrix", "terms"]),
        (3, "operator:0-3=1", ["(0, 3)", "less than 3"]),
        (2, "operator:0=one", ["0=one", "operator:0=1"]),
    ] {
        folder.run(&line(request)).fails(code, &words);
    }
}
