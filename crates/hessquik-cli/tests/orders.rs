//! What goes beyond second derivatives and exact results: equations of higher order, directions of each point, estimates.
mod support;
use support::{Folder, Tensor, golden, npy, tensors};

/// Orders three and four, by the partials of the library: the known solutions.
#[cfg(feature = "train")]
#[test]
fn equations_of_higher_order() {
    let folder = Folder::new();
    let small = "--epochs 2 --lbfgs 0 --width 8 --depth 1 --json";
    for line in ["kdv --boundary 30", "kdv --boundary 30 --speed 1.5 --valid 10", "beam --boundary 30"] {
        let json = folder.run(&format!("train pinn {line} -n 60 --test 30 {small}")).ok().json();
        assert!(json["relative_error"].as_f64().unwrap() > 0.0 && json["test_loss"].as_f64().unwrap() > 0.0);
        assert_eq!(json["points"], 90, "{line}");
    }
    assert_eq!(folder.names(), ["hessquik-beam", "hessquik-kdv"]);
    // of one input there are curves, not maps
    let picture = std::fs::read_to_string(folder.path("hessquik-beam/fit.svg")).unwrap();
    assert!(["approximation", "difference", "A clamped beam"].iter().all(|word| picture.contains(word)));
    assert!(folder.path("hessquik-beam/fit.png").exists() && folder.path("hessquik-kdv/fit.png").exists());
    let history = std::fs::read_to_string(folder.path("hessquik-beam/history.csv")).unwrap();
    assert!(history.lines().next().unwrap().contains("deflection"), "{history}");
    let line = "train pinn beam -n 60 --boundary 20 --batch 20 --epochs 15 --lbfgs 5 --width 8 --depth 1 --json";
    let error = folder.run(line).ok().json()["relative_error"].as_f64().unwrap();
    assert!(error < 0.1, "{error}");
    folder.run("train pinn beam --speed 1").fails(2, &["--speed", "kdv"]);
    folder.run("train pinn kdv --viscosity 1").fails(2, &["--viscosity", "burgers"]);
    folder.run("train pinn kdv --speed 0").fails(2, &["positive"]);
    folder.run("new --preset pinn -o plane.safetensors").ok();
    folder.run("train pinn beam --model plane.safetensors").fails(3, &["[2, 1]", "[1, 1]"]);
}

/// Directions (50, 2, 2): turned by an angle that differs from point to point.
fn frames() -> Vec<f64> {
    (0..50)
        .flat_map(|s| {
            let (b, a) = (0.1 * s as f64).sin_cos();
            [a, b, -b, a]
        })
        .collect()
}

fn bytes(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// Along directions of each point: gradients and Hessians turned by hand, and the Laplacian, which no turn changes.
#[test]
fn directions_of_each_point() {
    let (folder, want, frames) = (Folder::new(), tensors(&golden("peaks_resnet")), frames());
    let model = golden("peaks_resnet").display().to_string();
    folder.write("v.npy", npy(1, "'<f8'", false, "(50, 2, 2)", &bytes(&frames)));
    let turned: Vec<f64> =
        (0..4).flat_map(|at| (0..50).map(move |s| (s, at))).map(|(s, at)| frames[4 * s + [0, 2, 1, 3][at]]).collect();
    folder.write("t.npy", npy(1, "'<f8'", true, "(50, 2, 2)", &bytes(&turned)));
    let of = |axes: &[usize]| {
        let (g, h) = (&want["gradient"].numbers, &want["hessian"].numbers);
        let v = |s: usize, a: usize, i: usize| frames[4 * s + 2 * a + i];
        let one = |s: usize| match *axes {
            [a] => (0..2).map(|i| v(s, a, i) * g[2 * s + i]).sum::<f64>(),
            [a, b] => (0..4).map(|ij| v(s, a, ij / 2) * v(s, b, ij % 2) * h[4 * s + ij]).sum(),
            _ => unreachable!(),
        };
        (0..50).map(one).collect::<Vec<f64>>()
    };
    let close = |found: &[f64], want: &[f64]| {
        assert_eq!(found.len(), want.len());
        assert!(found.iter().zip(want).all(|(f, w)| (f - w).abs() < 1e-11), "{found:?} {want:?}");
    };
    for file in ["v.npy", "t.npy"] {
        for tile in [7, 1000] {
            let line = format!("eval {model} -i {model} --directions {file} --tile {tile}");
            let request = "-r value,gradient,laplacian,partials:0-1,directional:3";
            folder.run(&format!("{line} {request} -o out.safetensors --json")).ok();
            let found = folder.tensors("out.safetensors");
            found["value"].close(&want["value"], 1e-12);
            found["laplacian"].close(&want["laplacian"], 1e-11);
            close(&found["partials"].numbers, &of(&[0, 1]));
            assert_eq!(found["directional"].shape, [50, 3, 2, 1]);
            let along = |at: usize| (0..50).map(|s| found["directional"].numbers[6 * s + at]).collect::<Vec<_>>();
            for a in 0..2 {
                close(&along(a), &of(&[a]));
                close(&along(2 + a), &of(&[a, a]));
                close(&(0..50).map(|s| found["gradient"].numbers[2 * s + a]).collect::<Vec<_>>(), &of(&[a]));
            }
        }
    }
    // shares take theirs
    let line = format!("eval {model} -i {model} --directions v.npy -r directional:3");
    folder.run(&format!("{line} --share 1/2 -o part.safetensors")).ok();
    let (part, all) = (folder.tensors("part.1-of-2.safetensors"), folder.tensors("out.safetensors"));
    close(&part["directional"].numbers, &all["directional"].numbers[25 * 6..]);
    let json = folder.run(&format!("explain {model} --directions v.npy -r directional:3 --json")).ok().json();
    assert!(json.is_object());

    folder.write("few.npy", npy(1, "'<f8'", false, "(49, 2, 2)", &bytes(&frames[4..])));
    folder.write("wide.npy", npy(1, "'<f8'", false, "(50, 1, 4)", &bytes(&frames)));
    let line = format!("eval {model} -i {model} -r directional:3 -o o.safetensors --directions");
    folder.run(&format!("{line} few.npy")).fails(3, &["[49, 2, 2]", "[50, 2, 2]"]);
    folder.run(&format!("{line} wide.npy")).fails(3, &["wide.npy", "[50, 1, 4]", "[points, directions, 2]"]);
    let line = line.replace("directional:3", "factored");
    folder.run(&format!("{line} v.npy")).fails(3, &["factored"]);
    assert!(!folder.path("o.safetensors").exists());
}

fn numbers(tensor: &Tensor) -> &[f64] {
    &tensor.numbers
}

/// Estimates are within their standard errors of what is exact, and seeded.
#[test]
fn estimates() {
    let folder = Folder::new();
    folder.write(
        "a.json",
        r#"{"type": "network", "layers": [
        {"type": "single", "in_features": 12, "out_features": 8, "act": "tanh"},
        {"type": "single", "in_features": 8, "out_features": 2, "act": "sin"}]}"#,
    );
    folder.run("new a.json --dtype f64 --seed 3 -o m.safetensors").ok();
    let x: Vec<f64> = (0..9 * 12).map(|i| ((i * 7 % 11) as f64 - 5.0) / 6.0).collect();
    folder.write("x.npy", npy(1, "'<f8'", false, "(9, 12)", &bytes(&x)));
    let b: Vec<f64> = (0..144).map(|i| ((i * 5 % 13) as f64 - 6.0) / 9.0).collect();
    folder.write("b.npy", npy(1, "'<f8'", false, "(12, 12)", &bytes(&b)));
    let eval = |more: &str, out: &str| {
        let json = folder.run(&format!("eval m.safetensors -i x.npy {more} -o {out}.safetensors --json")).ok().json();
        (folder.tensors(&format!("{out}.safetensors")), json)
    };
    for (request, name, more) in [
        ("-r laplacian", "laplacian", "--estimate-seed 5"),
        ("-r laplacian", "laplacian", "--estimate-kind gaussian --estimate-per-point"),
        ("-r bilaplacian", "bilaplacian", ""),
        ("--operator b.npy", "operator", "--estimate-per-point"),
        ("-r operator:0=1+1-2=-3+=.5", "operator", ""),
    ] {
        let exact = eval(request, "exact").0;
        let (found, json) = eval(&format!("{request} --estimate 400 {more}"), "found");
        let (mean, error) = (numbers(&found[name]), numbers(&found[&format!("{name}.standard_error")]));
        assert_eq!((found.len(), &found[name].shape), (2, &exact[name].shape));
        for ((m, e), x) in mean.iter().zip(error).zip(numbers(&exact[name])) {
            assert!((m - x).abs() < 6.0 * e + 1e-12 && *e >= 0.0, "{name}: {m} +- {e}, {x}");
        }
        assert!(mean.iter().zip(numbers(&exact[name])).any(|(m, x)| m != x), "{name} is an estimate");
        assert_eq!(json["estimate"]["directions"], 400);
        let again = eval(&format!("{request} --estimate 400 {more}"), "again").0;
        assert_eq!(numbers(&again[name]), mean);
        let seed = eval(
            &format!("{request} --estimate 400 {} --estimate-seed 9", more.replace("--estimate-seed 5", "")),
            "seed",
        )
        .0;
        assert_ne!(numbers(&seed[name]), mean);
    }
    let text = folder.run("eval m.safetensors -i x.npy -r laplacian --estimate 8 -o out.csv --force").ok().stdout;
    assert!(text.contains("8 random directions, seed 0; the largest standard error is"), "{text}");
    let csv = std::fs::read_to_string(folder.path("out.csv")).unwrap();
    assert!(csv.starts_with("laplacian_0,laplacian_1,laplacian.standard_error_0,"), "{csv}");
    let line = "eval m.safetensors -i x.npy -o no.safetensors";
    for (more, words) in [
        ("--estimate 8", "needs a result"),
        ("-r hessian --estimate 8", "a single result"),
        ("-r laplacian,value --estimate 8", "a single result"),
        ("-r laplacian --operator b.npy --estimate 8", "a single result"),
        ("-r laplacian --estimate 1", "at least 2"),
        ("-r laplacian --estimate-seed 3", "--estimate"),
        ("-r laplacian --estimate 8 --tile 3", "--tile"),
        ("-r laplacian --estimate 8 --directions b.npy", "--directions"),
        ("-r laplacian --estimate 8 --estimate-kind normal", "gaussian"),
    ] {
        folder.run(&format!("{line} {more}")).fails(2, &[words]);
    }
    for (more, words) in [
        ("-r bilaplacian --estimate 8 --estimate-kind rademacher", "gaussian"),
        ("-r operator:0-0-0=1 --estimate 8 --estimate-per-point", "order 3"),
    ] {
        folder.run(&format!("{line} {more}")).fails(3, &[words]);
    }
    assert!(!folder.path("no.safetensors").exists());
}
