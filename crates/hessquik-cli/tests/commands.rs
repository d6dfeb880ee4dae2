//! Every command but `eval`, as text and as JSON.
mod support;
use support::{Folder, golden};

#[test]
fn help_and_version() {
    let folder = Folder::new();
    let help = folder.run("--help").ok().stdout;
    for word in [
        "Examples:",
        "Exit codes:",
        "eval",
        "new",
        "info",
        "check",
        "explain",
        "peaks",
        "timing",
        "train",
        "--json",
        "--threads",
    ] {
        assert!(help.contains(word), "{word}");
    }
    assert!(folder.run("eval --help").ok().stdout.contains("(n, d, d, m)"));
    assert!(folder.run("--version").ok().stdout.starts_with("hessquik "));
}

#[test]
fn demonstration() {
    let folder = Folder::new();
    for _ in 0..2 {
        let text = folder.run("").ok().stdout;
        for word in ["d2f/dxdy", "passed", "hessquik eval hessquik-demo/model.safetensors"] {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
        assert_eq!(folder.names(), ["hessquik-demo"]);
    }
    assert_eq!(folder.tensors("hessquik-demo/results.safetensors")["hessian"].shape, [20000, 2, 2, 1]);
    // the command line that it prints does the same
    let before = folder.tensors("hessquik-demo/results.safetensors");
    let line = "eval hessquik-demo/model.safetensors --input hessquik-demo/x.npy --request value,gradient,hessian";
    folder.run(&format!("{line} -o hessquik-demo/results.safetensors")).ok();
    assert_eq!(folder.tensors("hessquik-demo/results.safetensors"), before);
    assert_eq!(folder.run("--json").ok().json()["evaluation"]["points"], 20000);
}

#[test]
fn new_models() {
    let folder = Folder::new();
    for (preset, d, m) in [("peaks", 2, 1), ("pinn", 2, 1), ("icnn", 3, 1), ("timing", 64, 8)] {
        let json = folder.run(&format!("new --preset {preset} -o {preset}.safetensors --json")).ok().json();
        assert_eq!((&json["dim_input"], &json["dim_output"]), (&d.into(), &m.into()), "{preset}");
        assert_eq!(json["dtype"], "f32");
    }
    for (preset, d, more) in
        [("fourier", 2, 0), ("modified-mlp", 2, 0), ("piratenet", 2, 0), ("deeponet", 2, 100), ("mfn", 2, 0)]
    {
        let json = folder.run(&format!("new --preset {preset} --dtype f64 -o n.safetensors --json")).ok().json();
        assert_eq!((&json["dim_input"], &json["dim_output"]), (&(d + more).into(), &1.into()), "{preset}");
        let json = folder.run(&format!("new --preset {preset} --dim-input 3 --dim-output 2 -o o.safetensors --json"));
        let json = json.ok().json();
        assert_eq!((&json["dim_input"], &json["dim_output"]), (&(3 + more).into(), &2.into()), "{preset}");
        folder.run("info o.safetensors").ok();
    }
    let json = folder.run("new --preset pinn --dim-input 5 --dim-output 3 -o m.safetensors --json").ok().json();
    assert_eq!((&json["dim_input"], &json["dim_output"]), (&5.into(), &3.into()));
    folder.run("new --preset icnn --dim-input 20 -o m.safetensors").ok();

    // the same seed gives the same weights, and another one gives others
    let weights = |seed: u64| {
        folder.run(&format!("new --preset peaks --dtype f64 --seed {seed} -o s.safetensors")).ok();
        folder.tensors("s.safetensors")
    };
    assert_eq!(weights(7), weights(7));
    assert_ne!(weights(7), weights(8));
}

#[test]
fn architecture_there_and_back() {
    let folder = Folder::new();
    let json = folder.run(&format!("info {} --json", golden("blocks").display())).ok().json();
    folder.write("a.json", json["architecture"].to_string());
    folder.run("new a.json --dtype f64 -o m.safetensors").ok();
    let again = folder.run("info m.safetensors --json").ok().json();
    assert_eq!(json["architecture"], again["architecture"]);
    assert_eq!(json["layers"], again["layers"]);
    let layer = &again["layers"][1];
    assert_eq!((&layer["position"], &layer["activation"]), (&"1.0".into(), &"softplus".into()));
    assert_eq!(layer["weights"][0], serde_json::json!({"name": "layer.K", "shape": [7, 7]}));
    let text = folder.run("info m.safetensors").ok().stdout;
    assert!(text.contains("3 inputs, 1 output,") && text.contains("layer.K [7, 7]"), "{text}");
}

#[test]
fn checks_pass_on_good_models() {
    let folder = Folder::new();
    for model in ["peaks_resnet", "icnn_network", "fully_connected"] {
        let model = golden(model).display().to_string();
        let text = folder.run(&format!("check {model}")).ok().stdout;
        for word in ["E0", "E1", "E2", "forward", "backward", "Laplacian", "passed"] {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
        let json = folder.run(&format!("check {model} -n 3 --seed 5 --json")).ok().json();
        assert_eq!(json["passed"], true);
    }
    let model = golden("peaks_resnet").display().to_string();
    folder.run(&format!("check {model} --input {model} --json")).ok();
    folder.write("x.csv", "1,2,3");
    folder.run(&format!("check {model} --input x.csv")).fails(3, &["expected 2 columns"]);
}

#[test]
fn checks_of_higher_orders() {
    let (folder, model) = (Folder::new(), golden("fully_connected").display().to_string());
    let text = folder.run(&format!("check {model} --order 5")).ok().stdout;
    for words in ["orders 1 to 5", "Derivative of order 5 PASSED!", "Partial 0-0-0-0-0 PASSED!", "all 9 checks passed"]
    {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let json = folder.run(&format!("check {model} --order 3 --json")).ok().json();
    assert_eq!(json["checks"][6]["report"]["orders"].as_array().unwrap().len(), 3);
    folder.run(&format!("check {model} --order 9")).fails(2, &["9", "2..=8"]);
}

#[test]
fn a_failed_check_has_an_exit_code_of_its_own() {
    // at its corner, where there is no derivative
    let folder = Folder::new();
    folder.write(
        "a.json",
        r#"{"type": "single", "in_features": 1, "out_features": 1, "act": {"type": "leaky_relu"}, "bias": false}"#,
    );
    folder.run("new a.json -o m.safetensors").ok();
    folder.write("x.csv", "0");
    let run = folder.run("check m.safetensors --input x.csv");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("FAILED"), "{run:?}");
    let run = folder.run("check m.safetensors --input x.csv --json");
    assert_eq!((run.code, &run.json()["passed"]), (1, &false.into()));
}

#[test]
fn explanations() {
    let folder = Folder::new();
    folder.run("new --preset timing -o m.safetensors").ok();
    let text = folder.run("explain m.safetensors --points 1000 --request value,hessian").ok().stdout;
    assert!(text.contains("1000 points") && text.contains("sites"), "{text}");
    let json = folder.run("explain m.safetensors -n 1000 -r laplacian --json").ok().json();
    assert_eq!(json["points"], 1000);
}

#[test]
fn peaks() {
    let folder = Folder::new();
    folder.run("peaks -n 500 --seed 3 -o a.safetensors").ok();
    folder.run("peaks -n 500 --seed 3 -o a").ok();
    let a = folder.tensors("a.safetensors");
    assert_eq!(a.len(), 4);
    assert_eq!(a["hessian"].shape, [500, 2, 2, 1]);
    assert_eq!(a["x"].numbers, folder.npy("a/x.npy").numbers);
    assert!(a["x"].numbers.iter().all(|x| x.abs() <= 3.0));
    // many tiles hold the same points as one
    folder.run("peaks -n 70000 --seed 3 -o b.safetensors").ok();
    assert_eq!(folder.tensors("b.safetensors")["x"].numbers[..1000], a["x"].numbers);
    // a regular grid, whose middle is the origin
    folder.run("peaks --grid 5 --dtype f32 -o g.safetensors").ok();
    let g = folder.tensors("g.safetensors");
    assert_eq!((&g["x"].shape[..], g["x"].dtype.as_str()), (&[25, 2][..], "F32"));
    assert_eq!(g["x"].numbers[..4], [-3.0, -3.0, -3.0, -1.5]);
    assert!((g["value"].numbers[12] - 8.0 / 3.0 * (-1f64).exp()).abs() < 1e-6);
    folder.run("peaks -n 0 -o none").ok();
    assert_eq!(folder.npy("none/hessian.npy").shape, [0, 2, 2, 1]);
    // the data set is made of points that eval reads
    folder.run("new --preset peaks -o m.safetensors").ok();
    folder.run("eval m.safetensors -i a.safetensors -o out.safetensors").ok();
}

#[test]
fn info_draws_the_graph() {
    let folder = Folder::new();
    folder.run("new --preset peaks -o p.safetensors").ok();
    let shown = folder.run("info p.safetensors").ok().stdout;
    assert!(shown.contains("1153 weights (f32)") && !shown.contains("the point"), "{shown}");
    let listed = folder.run("info p.safetensors --graph").ok().stdout;
    assert!(listed.contains("0.K [2, 16]") && listed.contains("the result"), "{listed}");
    let dot = folder.run("info p.safetensors --dot").ok().stdout;
    assert!(dot.starts_with("digraph {") && dot.trim_end().ends_with('}') && dot.contains("tanh, 16"), "{dot}");
    let nodes = dot.lines().filter(|line| line.contains("[label=") && !line.contains("->")).count();
    assert_eq!(nodes, listed.lines().filter(|line| line.starts_with('%')).count());
    assert_eq!(folder.run("info p.safetensors --dot --graph").code, 2);
    // a graph is listed unasked
    let graph =
        r#"{"type": "graph", "inputs": 2, "output": 1, "nodes": [{"op": "input"}, {"op": "times", "a": 0, "b": 0}]}"#;
    std::fs::write(folder.path("g.json"), graph).unwrap();
    folder.run("new g.json -o g.safetensors").ok();
    assert!(folder.run("info g.safetensors").ok().stdout.contains("%1 2  %0 . %0, the result"));
}
