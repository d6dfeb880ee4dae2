//! The command `timing`: what it times agrees, what it prints is complete, what it cannot do it says.
mod support;
use support::Folder;

const WRAPPERS: [&str; 5] = ["ours", "forward", "backward", "sites", "hyper-dual"];

#[test]
fn a_bare_run_has_a_row_for_each_wrapper_and_network() {
    let folder = Folder::new();
    let text = folder.run("timing --num-trials 1").ok().stdout;
    for word in ["resnet of width 16 and depth 4, 10 points, f32", "mean", "std", "min", "median", "ratio"] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    for wrapper in WRAPPERS {
        assert_eq!(text.lines().filter(|l| l.contains(&format!("  {wrapper}"))).count(), 7 * 2, "{wrapper} in {text}");
    }
    assert!(folder.names().is_empty());
}

#[test]
fn all_wrappers_agree_on_every_network() {
    let folder = Folder::new();
    for network in ["resnet", "fully_connected", "fully-connected", "icnn"] {
        for (dtype, more) in [("f32", ""), ("f64", "--seed 3 --width 7 --depth 1"), ("f64", "--width 3 --depth 6")] {
            let line = format!("timing --network-type {network} --dtype {dtype} --in-feature-range 1,5,12 {more}");
            let json = folder.run(&format!("{line} --nex 7 --num-trials 1 --json")).ok().json();
            let outputs = if network == "icnn" { 1 } else { 2 };
            assert_eq!(json["results"].as_array().unwrap().len(), 3 * outputs * WRAPPERS.len());
            assert_eq!((&json["network_type"], &json["dtype"]), (&network.replace('-', "_").into(), &dtype.into()));
        }
    }
}

#[test]
fn json_has_every_trial() {
    let folder = Folder::new();
    let line =
        "timing --in-feature-range 3,2 --out-feature-range 1,4 --nex 6 --num-trials 3 --network-wrapper sites,ours";
    let json = folder.run(&format!("{line} --threads 1 --seed 5 -o out.json --json")).ok().json();
    for (key, wanted) in [("nex", 6), ("num_trials", 3), ("width", 16), ("depth", 4), ("seed", 5), ("threads", 1)] {
        assert_eq!(json[key], wanted, "{key}");
    }
    assert_eq!(json["in_feature_range"], serde_json::json!([3, 2]));
    assert_eq!(json["network_wrappers"], serde_json::json!(["sites", "ours"]));
    let rows = json["results"].as_array().unwrap();
    let cells: Vec<_> = rows.iter().map(|r| (r["in_features"].as_u64(), r["out_features"].as_u64())).collect();
    let wanted = [(3, 1), (3, 1), (2, 1), (2, 1), (3, 4), (3, 4), (2, 4), (2, 4)];
    assert_eq!(cells, wanted.map(|(d, m)| (Some(d), Some(m))));
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key} in {row}"));
        let trials: Vec<f64> = row["timing_trials"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
        assert_eq!(trials.len(), 3);
        assert!(trials.iter().all(|t| *t > 0.0 && *t < 60.0));
        let mean = trials.iter().sum::<f64>() / 3.0;
        assert!((number("timing_trials_mean") - mean).abs() <= 1e-12 * mean);
        assert!(number("timing_trials_std") >= 0.0 && number("min") <= number("median"));
        assert!(row["network_wrapper"] != "ours" || number("ratio") == 1.0);
    }
    let file = std::fs::read_to_string(folder.path("out.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&file).unwrap(), json);

    // one trial has no deviation, and without `ours` there is nothing to compare with
    let json = folder.run("timing --in-feature-range 2 --num-trials 1 --network-wrapper forward --json").ok().json();
    let row = &json["results"][0];
    assert!(row["timing_trials_std"].is_null() && row["ratio"].is_null(), "{row}");
}

#[test]
fn the_plot_has_a_line_for_each_wrapper_in_each_panel() {
    let folder = Folder::new();
    let line = "timing --nex 2 --num-trials 1 --force --plot times.svg";
    for (wrappers, outputs, inputs) in [("ours,forward,hyper-dual", "1,2,5", "8,1,3"), ("sites", "2", "4")] {
        folder.write("times.svg", "old");
        let more = format!("--network-wrapper {wrappers} --out-feature-range {outputs} --in-feature-range {inputs}");
        let text = folder.run(&format!("{line} {more}")).ok().stdout;
        assert!(text.contains("written: times.svg"), "{text}");
        assert_eq!(folder.names(), ["times.svg"]);
        let svg = std::fs::read_to_string(folder.path("times.svg")).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        let [series, panels, points] = [wrappers, outputs, inputs].map(|list| list.split(',').count());
        for wrapper in wrappers.split(',') {
            assert_eq!(svg.lines().filter(|l| l.trim() == wrapper).count(), panels, "{wrapper}");
        }
        assert_eq!(svg.matches("<circle").count(), series * panels * points);
        assert_eq!(svg.lines().filter(|l| l.trim() == "number of inputs").count(), panels);
    }
}

#[test]
fn settings_that_make_no_sense() {
    let folder = Folder::new();
    for option in ["nex", "num-trials", "width", "in-feature-range", "out-feature-range"] {
        folder.run(&format!("timing --{option} 0")).fails(2, &[option, "at least 1"]);
    }
    for (more, word) in [
        ("--depth 0", "depth"),
        ("--in-feature-range 1,,2", "at least 1"),
        ("--in-feature-range 2,4,2", "--in-feature-range has 2 twice"),
        ("--out-feature-range 1,1", "--out-feature-range has 1 twice"),
        ("--network-wrapper ours,sites,ours", "ours twice"),
        ("--network-wrapper torch", "hyper-dual"),
        ("--network-type unet", "fully_connected"),
        ("--network-type icnn --out-feature-range 1,2", "icnn has one output, found 2"),
        ("--plot plot.pdf", "plot.pdf: expected a name that ends in .svg or .png"),
        ("-o timing.txt", "timing.txt: expected a name that ends in .json"),
    ] {
        folder.run(&format!("timing {more}")).fails(2, &[word]);
    }
    folder.run("timing --plot nowhere/plot.svg").fails(3, &["nowhere/plot.svg", "No such file"]);
    // said before anything is timed
    let run = folder.run("timing --in-feature-range 1,3000000 --width 1 --plot plot.svg --json");
    let run = run.fails(3, &["3000000 inputs and 1 output", "bytes"]);
    assert!(run.json()["error"].as_str().unwrap().contains("cannot allocate"));
    folder.run("timing --width 4000000000").fails(3, &["weights of the network"]);
    folder.run("timing --nex 18446744073709551615").fails(3, &["cannot allocate"]);
    assert!(folder.names().is_empty());
}

#[test]
fn wrappers_that_differ_are_not_timed() {
    // thousands of layers amplify rounding until no digit of the Hessian is left
    let folder = Folder::new();
    folder.write("plot.svg", "old");
    let line =
        "timing --depth 9000 --in-feature-range 2 --out-feature-range 1 --num-trials 1 --force --plot plot.svg --json";
    let run = folder.run(&format!("{line} --network-wrapper sites,hyper-dual"));
    let run = run.fails(1, &["hyper-dual and sites differ at 2 inputs and 1 output", "tolerance 1e-3"]);
    assert!(run.json()["results"].is_null());
    assert_eq!(folder.names(), ["plot.svg"]);
    assert_eq!(std::fs::read(folder.path("plot.svg")).unwrap(), b"old");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    folder.write("plot.svg", "old");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
    command.args(["timing", "--num-trials", "1000000000", "--force", "--plot", "plot.svg", "-o", "timing.json"]);
    let child = command.current_dir(folder.path(".")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while folder.names().len() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5)); // until the temporary files are there
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).starts_with("error: interrupted"), "{out:?}");
    assert_eq!(folder.names(), ["plot.svg"]);
    assert_eq!(std::fs::read(folder.path("plot.svg")).unwrap(), b"old");
}
