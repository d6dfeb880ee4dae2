//! The command `train`: what is written, what reproduces and resumes, what goes wrong.
mod support;
use support::{Folder, Run};

#[cfg(not(feature = "train"))]
#[test]
fn without_the_feature_it_says_which_one() {
    let folder = Folder::new();
    for line in
        ["train", "train hermite", "train hermite --epochs 3 -o out", "train --help", "train data x.npz --quiet"]
    {
        folder.run(line).fails(2, &["built without training", "cargo feature train", "--features train", "wgpu"]);
    }
    let run: Run = folder.run("train pinn poisson --json").fails(2, &["feature"]);
    assert!(run.json()["error"].as_str().unwrap().contains("feature train"));
    assert!(folder.run("--help").ok().stdout.contains("needs the cargo feature `train`"));
    assert!(folder.names().is_empty());
}

#[cfg(all(feature = "train", unix))]
#[path = "train/struck.rs"]
mod struck;

#[cfg(feature = "train")]
mod with_the_feature {
    use super::*;
    use std::io::Write;
    use std::path::Path;
    use support::{golden, npy};

    const PICTURES: [&str; 4] = ["convergence.png", "convergence.svg", "fit.png", "fit.svg"];

    pub fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with("hessquik.json")); // that says whose they are
        names.sort();
        names
    }

    /// A small run.
    fn hermite(folder: &Folder, more: &str) -> Run {
        folder.run(&format!("train hermite --points 60 --valid 10 --test 20 --batch 20 {more}"))
    }

    /// Its losses, without seconds, which differ.
    pub fn history(folder: &Folder, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(folder.path(name)).unwrap();
        let losses = |line: &str| line.splitn(3, ',').nth(2).unwrap().to_string();
        text.lines().map(losses).collect()
    }

    fn check_pictures(folder: &Folder, out: &str) {
        for name in PICTURES {
            let bytes = std::fs::read(folder.path(out).join(name)).unwrap();
            if name.ends_with(".png") {
                let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
                let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
                reader.next_frame(&mut pixels).unwrap();
                // neither blank nor one colour
                let dark = pixels.chunks(3).filter(|p| p.iter().all(|v| *v < 100)).count();
                assert!(dark > 500 && dark < pixels.len() / 6, "{name} has {dark} dark pixels");
            } else {
                let svg = String::from_utf8(bytes).unwrap();
                assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
                let words: &[&str] = match name {
                    "fit.svg" => &["true", "approximation", "difference", "relative error"],
                    _ => &["epoch", "loss, train", "loss, valid", "loss_f, train", "loss_d2f, train", "L-BFGS"],
                };
                for word in words {
                    assert!(svg.contains(word), "no {word:?} in {name}");
                }
            }
        }
    }

    #[test]
    fn hermite_from_end_to_end() {
        let folder = Folder::new();
        let text = hermite(&folder, "--epochs 3 --lbfgs 1 --print 1 -o out").ok().stdout;
        for word in ["epoch", "running", "| train", "| valid", "weights", "loss_d2f", "4 epochs in", "relative error"] {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
        let rows = text.lines().filter(|l| l.matches('|').count() == 3 && l.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(rows.count(), 4, "{text}");
        let mut wanted = [&PICTURES[..], &["history.csv", "model.safetensors"]].concat();
        wanted.sort();
        assert_eq!(names(&folder.path("out")), wanted);
        assert_eq!(folder.names(), ["out"]);
        check_pictures(&folder, "out");
        let csv = std::fs::read_to_string(folder.path("out/history.csv")).unwrap();
        assert!(
            csv.starts_with("epoch,seconds,running_loss,running_loss_f,running_loss_df,running_loss_d2f,train_loss")
        );
        assert_eq!(csv.lines().count(), 5);
        // the model is one that every command reads, and its error on the grid is the one that was said
        let json = hermite(&folder, "--epochs 3 --lbfgs 1 -o again --json").ok().json();
        folder.run("peaks --grid 100 -o grid.safetensors").ok();
        folder.run("eval again/model.safetensors -i grid.safetensors -r value -o found.safetensors").ok();
        let (found, truth) = (folder.tensors("found.safetensors"), folder.tensors("grid.safetensors"));
        let (found, truth) = (&found["value"].numbers, &truth["value"].numbers);
        let above: f64 = found.iter().zip(truth).map(|(f, y)| (f - y) * (f - y)).sum();
        let error = (above / truth.iter().map(|y| y * y).sum::<f64>()).sqrt();
        assert!((json["relative_error"].as_f64().unwrap() - error).abs() < 1e-9 * error);
        // the same seed gives the same bits
        assert_eq!(history(&folder, "out/history.csv"), history(&folder, "again/history.csv"));
        let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
        assert_eq!(bytes("out/model.safetensors"), bytes("again/model.safetensors"));
    }

    #[test]
    fn json_and_quiet() {
        let folder = Folder::new();
        let json = hermite(&folder, "--epochs 2 --lbfgs 0 --seed 3 --json").ok().json();
        for key in ["relative_error", "test_loss", "seconds", "train_loss", "valid_loss"] {
            assert!(json[key].as_f64().unwrap() > 0.0, "{key} in {json}");
        }
        for (key, wanted) in [("epochs", 2), ("points", 60), ("valid", 10), ("seed", 3), ("weights", 1153)] {
            assert_eq!(json[key], wanted, "{key}");
        }
        assert_eq!(
            (&json["device"], &json["dtype"], &json["problem"]),
            (&"cpu".into(), &"f64".into(), &"hermite".into())
        );
        assert_eq!(json["files"].as_array().unwrap().len(), 6);
        let text = hermite(&folder, "--epochs 2 --lbfgs 0 --quiet").ok().stdout;
        assert!(!text.contains("running") && text.contains("relative error"), "{text}");
        let other = hermite(&folder, "--epochs 2 --lbfgs 0 --seed 4 --json").ok().json();
        assert_ne!(json["relative_error"], other["relative_error"]);
    }

    #[test]
    fn training_lowers_the_error() {
        let folder = Folder::new();
        let error = |line: &str| folder.run(line).ok().json()["relative_error"].as_f64().unwrap();
        let few = error("train hermite --points 300 --epochs 2 --lbfgs 0 --json");
        let more = error("train hermite --points 300 --epochs 15 --lbfgs 2 --json");
        assert!(more < 0.3 && more < 0.5 * few, "{few}, then {more}");
    }

    #[test]
    fn hessquiks_settings_and_others() {
        let folder = Folder::new();
        let json = hermite(&folder, "--hessquik-settings --epochs 2 --json").ok().json();
        assert_eq!((&json["dtype"], &json["epochs"]), (&"f32".into(), &2.into()));
        assert_eq!(folder.run("info hessquik-hermite/model.safetensors --json").ok().json()["dtype"], "f32");
        for more in [
            "--optimizer adamw:0.1 --schedule exponential:0.9",
            "--optimiser adamw --schedule step:1:0.5 --clip 1",
            "--schedule constant --weights 1,0,0",
            "--preset pinn",
            "--width 5 --depth 0 --activation softplus",
            "--width 4 --depth 1 --activation squareplus:b=2",
            "--print 1 --dtype f32",
        ] {
            let json = hermite(&folder, &format!("--epochs 1 --lbfgs 1 {more} --json")).ok().json();
            assert_eq!(json["epochs"], 2, "{more}");
        }
        let json = folder.run("train hermite -n 60 --valid 0 --epochs 1 --lbfgs 1 --json").ok().json();
        assert!(json["valid_loss"].is_null() && json["relative_error"].as_f64().unwrap() > 0.0);
        // a patience of one epoch, at a rate that makes losses rise
        let json = hermite(&folder, "--epochs 100 --rate 5 --schedule constant --patience 1 --json").ok().json();
        assert_eq!(json["stopped_early"], true);
        assert!(json["epochs"].as_u64().unwrap() < 100);
    }

    #[test]
    fn a_model_to_start_from() {
        let folder = Folder::new();
        folder.run("peaks -n 50 -o data.safetensors").ok();
        std::fs::copy(golden("peaks_resnet"), folder.path("start.safetensors")).unwrap();
        let line = "train data data.safetensors --model start.safetensors --epochs 1 --lbfgs 0 --rate 1e-12";
        folder.run(&format!("{line} -o fit.safetensors")).ok();
        assert!(folder.path("fit-history.csv").exists() && folder.path("fit-fit.png").exists());
        let (before, after) = (folder.tensors("start.safetensors"), folder.tensors("fit.safetensors"));
        before["weights.0.K"].close(&after["0.K"], 1e-10);
        folder.run(&format!("{line} -o start.safetensors")).fails(2, &["start.safetensors", "replace"]);
        folder.run(&format!("{line} -o data.safetensors")).fails(2, &["data.safetensors", "replace"]);
        folder.write("a.json", r#"{"type": "single", "in_features": 2, "out_features": 3, "act": {"type": "tanh"}}"#);
        let line = "train data data.safetensors --architecture a.json --epochs 1";
        folder.run(line).fails(3, &["[2, 3]", "[2, 1]"]);
    }

    /// `.npz` as numpy.savez writes it, or compressed.
    fn npz(folder: &Folder, name: &str, compressed: bool, arrays: &[(&str, Vec<u8>)]) {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path(name)).unwrap());
        let method = if compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in arrays {
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn data_from_every_kind_of_file() {
        let folder = Folder::new();
        folder.run("peaks -n 50 -o data.safetensors").ok();
        folder.run("peaks -n 50 -o data").ok();
        let file = |name: &str| std::fs::read(folder.path("data").join(format!("{name}.npy"))).unwrap();
        let arrays = ["x", "value", "gradient", "hessian"].map(|name| (name, file(name)));
        npz(&folder, "plain.npz", false, &arrays);
        npz(&folder, "compressed.npz", true, &arrays);
        // without the axis of the one output, and Fortran's order
        let x = folder.npy("data/x.npy");
        let columns: Vec<u8> =
            (0..2).flat_map(|j| (0..50).map(move |i| 2 * i + j)).flat_map(|i| x.numbers[i].to_le_bytes()).collect();
        let flat = |name: &str| folder.npy(&format!("data/{name}.npy")).numbers.into_iter().flat_map(f64::to_le_bytes);
        let loose = [
            ("x", npy(1, "'<f8'", true, "(50, 2)", &columns)),
            ("value", npy(1, "'<f8'", false, "(50,)", &flat("value").collect::<Vec<_>>())),
            ("gradient", npy(1, "'<f8'", false, "(50, 2)", &flat("gradient").collect::<Vec<_>>())),
            ("hessian", npy(1, "'<f8'", false, "(50, 2, 2)", &flat("hessian").collect::<Vec<_>>())),
        ];
        npz(&folder, "loose.npz", false, &loose);
        let errors = ["data.safetensors", "data", "plain.npz", "compressed.npz", "loose.npz"].map(|name| {
            let json = folder.run(&format!("train data {name} --epochs 2 --lbfgs 0 -o out --json")).ok().json();
            assert_eq!((&json["points"], &json["valid"]), (&40.into(), &5.into()));
            (json["relative_error"].to_string(), json["test_loss"].to_string())
        });
        assert!(errors.iter().all(|e| *e == errors[0]), "{errors:?}");
        // gradients alone, of three inputs and two outputs: nothing to draw a map of
        let numbers = |n: usize| (0..n).flat_map(|i| (i as f64 * 0.37).sin().to_le_bytes()).collect::<Vec<u8>>();
        let some = [
            ("x", npy(1, "'<f8'", false, "(20, 3)", &numbers(60))),
            ("gradient", npy(1, "'<f8'", false, "(20, 3, 2)", &numbers(120))),
        ];
        npz(&folder, "some.npz", false, &some);
        let json = folder.run("train data some.npz --epochs 2 --lbfgs 0 -o some --json").ok().json();
        assert!(json["relative_error"].as_f64().unwrap() > 0.0);
        assert_eq!(
            names(&folder.path("some")),
            ["convergence.png", "convergence.svg", "history.csv", "model.safetensors"]
        );
    }

    /// A trained model is not replaced by another problem's, nor files of others by a training.
    #[test]
    fn files_of_others_stay() {
        let folder = Folder::new();
        let short = "-n 50 --boundary 20 --test 20 --epochs 1 --lbfgs 0";
        folder.run(&format!("train pinn burgers {short}")).ok();
        folder.run(&format!("train pinn poisson {short}")).ok();
        assert_eq!(folder.names(), ["hessquik-burgers", "hessquik-poisson"]);
        let model = || std::fs::read(folder.path("hessquik-burgers/model.safetensors")).unwrap();
        let before = model();
        let run = folder.run(&format!("train pinn poisson {short} -o hessquik-burgers"));
        run.fails(2, &["hessquik train pinn burgers", "--force"]);
        folder.run("new --preset pinn -o hessquik-burgers/model.safetensors").fails(2, &["--force"]);
        assert_eq!(model(), before);
        // the same problem once more is the same command
        folder.run(&format!("train pinn burgers {short} --seed 1")).ok();
        assert_ne!(model(), before);
        folder.run(&format!("train pinn poisson {short} -o hessquik-burgers --force")).ok();
        for (i, name) in ["model.safetensors", "history.csv", "x.npy"].into_iter().enumerate() {
            let own = format!("own{i}");
            std::fs::create_dir(folder.path(&own)).unwrap();
            folder.write(&format!("{own}/{name}"), "mine");
            hermite(&folder, &format!("--epochs 1 --lbfgs 0 -o {own}")).fails(2, &[name, "--force"]);
            assert_eq!(std::fs::read(folder.path(&own).join(name)).unwrap(), b"mine");
        }
        // beside a model, files with other names do not matter
        folder.write("notes.txt", "mine");
        hermite(&folder, "--epochs 1 --lbfgs 0 -o fit.safetensors").ok();
        folder.write("fit-history.csv", "mine now");
        hermite(&folder, "--epochs 1 --lbfgs 0 -o fit.safetensors").fails(2, &["fit-history.csv"]);
        hermite(&folder, "--epochs 1 -o -").fails(2, &["several files"]);
    }

    /// All or nothing: where one of the files does not get to its place, all others stay as they were.
    #[test]
    fn all_files_or_none() {
        let folder = Folder::new();
        hermite(&folder, "--epochs 1 --lbfgs 0 -o out").ok();
        let bytes = || std::fs::read(folder.path("out/model.safetensors")).unwrap();
        let before = bytes();
        std::fs::remove_file(folder.path("out/fit.svg")).unwrap();
        std::fs::create_dir(folder.path("out/fit.svg")).unwrap();
        hermite(&folder, "--epochs 2 --lbfgs 0 -o out --force").fails(2, &["fit.svg", "folder"]);
        assert_eq!(bytes(), before);
    }

    /// Columns by the names that the command writes, or by those of the user.
    #[test]
    fn data_in_tables() {
        let folder = Folder::new();
        for out in ["data.safetensors", "data.npz", "data.csv"] {
            folder.run(&format!("peaks -n 50 -o {out}")).ok();
        }
        let run = |file: &str| {
            let out = file.split_whitespace().next().unwrap().replace(['.', '-'], "_");
            let json = folder.run(&format!("train data {file} --epochs 2 --lbfgs 0 -o {out} --json")).ok().json();
            (json["relative_error"].to_string(), json["test_loss"].to_string())
        };
        let wanted = run("data.safetensors");
        assert_eq!(run("data.npz"), wanted);
        assert_eq!(run("data.csv"), wanted);
        let piped =
            folder.shell("cat data.csv | hessquik train data - --epochs 2 --lbfgs 0 -o piped --json").ok().json();
        assert_eq!(piped["relative_error"].to_string(), wanted.0);
        // values alone, under other names, among columns that hold no numbers
        let text = std::fs::read_to_string(folder.path("data.csv")).unwrap();
        let rows = text.lines().skip(1).map(|line| {
            let fields: Vec<_> = line.split(',').take(3).collect();
            format!("{},p,{},{}\n", fields[2], fields[0], fields[1])
        });
        let rows: Vec<_> = rows.collect();
        folder.write("own.csv", format!("u,label,t,y\n{}", rows.concat()));
        folder.write("plain.csv", format!("value,label,x0,x1\n{}", rows.concat()));
        let of = |line: &str| {
            let line = format!("train data {line} --epochs 2 --lbfgs 0 --json");
            folder.run(&line).ok().json()["relative_error"].to_string()
        };
        let wanted = of("plain.csv");
        assert_eq!(of("own.csv --columns t,y --values u"), wanted);
        assert_eq!(of("own.csv --columns 2,3 --values 0"), wanted);
        folder.run("train data own.csv").fails(3, &["u, label, t, y", "x0", "--values"]);
        folder.run("train data own.csv --columns t,y").fails(2, &["--values"]);
        folder.run("train data own.csv --columns t,z --values u").fails(3, &["no column z"]);
        folder.run("train data own.csv --columns t,label --values u").fails(3, &["column 2", "\"p\""]);
    }

    #[test]
    fn equations() {
        let folder = Folder::new();
        for line in ["poisson", "burgers", "burgers --viscosity 0.2 --valid 20"] {
            let line = format!("train pinn {line} -n 100 --boundary 40 --test 50 --epochs 3 --lbfgs 1 --json");
            let json = folder.run(&line).ok().json();
            assert!(json["relative_error"].as_f64().unwrap() > 0.0 && json["test_loss"].as_f64().unwrap() > 0.0);
            assert_eq!(json["points"], 140);
        }
        let line = "train pinn poisson -n 300 --boundary 80 --epochs 30 --lbfgs 8 --width 12 --depth 1 --json";
        let error = folder.run(line).ok().json()["relative_error"].as_f64().unwrap();
        assert!(error < 0.05, "{error}");
    }

    #[test]
    fn resumes_to_the_same_bits() {
        let folder = Folder::new();
        let settings = "--epochs 5 --lbfgs 1 --every 2 --json";
        hermite(&folder, &format!("{settings} -o whole")).ok();
        // a run that was killed after its checkpoint of four epochs: what a run that is given more to do leaves
        hermite(&folder, &format!("{settings} -o first --checkpoint c.safetensors")).ok();
        assert!(folder.path("c.safetensors").exists());
        let finished = hermite(&folder, &format!("{settings} -o second --checkpoint c.safetensors")).ok().json();
        assert_eq!(finished["epochs"], 6);
        assert_eq!(history(&folder, "whole/history.csv"), history(&folder, "second/history.csv"));
        let run = hermite(&folder, "--epochs 6 -o third --checkpoint c.safetensors");
        run.fails(3, &["c.safetensors", "another run"]);
        let run = hermite(&folder, "--epochs 1 --lbfgs 0 -o third --checkpoint c.safetensors --restart --json").ok();
        assert_eq!(run.json()["epochs"], 1);
        // what differs is said, and what to do
        let run = hermite(&folder, "--epochs 4 --lbfgs 1 --seed 2 -o third --checkpoint c.safetensors");
        run.fails(
            3,
            &["epochs: checkpoint 1, now 4", "lbfgs: checkpoint 0, now 1", "seed: checkpoint 0, now 2", "--restart"],
        );
        folder.write("c.safetensors", "rubbish");
        hermite(&folder, "--epochs 1 --checkpoint c.safetensors").fails(3, &["c.safetensors"]);
        hermite(&folder, "--epochs 1 --checkpoint c.safetensors --restart")
            .fails(3, &["c.safetensors", "not a checkpoint"]);
        assert_eq!(std::fs::read(folder.path("c.safetensors")).unwrap(), b"rubbish");
    }

    #[test]
    fn what_goes_wrong() {
        let folder = Folder::new();
        folder.run("train").fails(2, &["subcommand", "hermite, data, pinn"]);
        folder.run("train hermit").fails(2, &["hermite"]);
        folder.run("train data missing.npz").fails(3, &["missing.npz", "No such file"]);
        folder.run("train data missing").fails(3, &["missing"]);
        for (more, word) in [
            ("--device tpu", "cuda"),
            ("--device cuda", "built without it"),
            ("--dtype f16", "f32"),
            ("--batch 0", "at least 1"),
            ("--rate 0", "positive"),
            ("--rate nan", "positive"),
            ("--schedule linear", "cosine"),
            ("--optimizer sgd", "adamw"),
            ("--weights 1,1", "three numbers"),
            ("--weights 0,0,0", "not all zero"),
            ("--epochs 0 --lbfgs 0", "nothing to do"),
            ("--model m.safetensors --width 3", "--width"),
        ] {
            folder.run(&format!("train hermite {more}")).fails(2, &[word]);
        }
        folder.run("train pinn poisson --viscosity 1").fails(2, &["viscosity"]);
        folder.run("train hermite --model m.safetensors").fails(3, &["m.safetensors"]);
        hermite(&folder, "--epochs 50 --rate 1e300 --dtype f32 --json").fails(3, &["training", "finite"]);
        folder.write("file", "");
        hermite(&folder, "-o file").fails(2, &["not a folder"]);
        hermite(&folder, "-o file/out").fails(3, &["file"]);
        hermite(&folder, "-o nowhere/m.safetensors").fails(3, &["nowhere"]);

        let x = |shape: &str, n: usize| npy(1, "'<f8'", false, shape, &vec![0; 8 * n]);
        let broken = |arrays: &[(&str, Vec<u8>)], words: &[&str]| {
            npz(&folder, "d.npz", true, arrays);
            folder.run("train data d.npz").fails(3, &[&["d.npz"], words].concat());
        };
        broken(&[("y", x("(3, 2)", 6))], &["no array named x"]);
        broken(&[("x", x("(30, 2)", 60))], &["neither values, nor gradients, nor Hessians"]);
        broken(&[("x", x("(30, 2)", 60)), ("value", x("(29, 1)", 29))], &["value", "[29, 1]", "[30, 1]"]);
        broken(&[("x", x("(30, 2)", 60)), ("gradient", x("(30, 3, 1)", 90))], &["gradient", "[30, 3, 1]"]);
        broken(&[("x", x("(30, 2)", 60)), ("hessian", x("(30, 2)", 60))], &["hessian", "[30, 2]", "4 axes"]);
        broken(&[("x", x("(30, 2)", 59))], &["x", "too short"]);
        broken(&[("x", b"rubbish and more".to_vec())], &["npy"]);
        let nan: Vec<u8> = (0..30).flat_map(|_| f64::NAN.to_le_bytes()).collect();
        let value = npy(1, "'<f8'", false, "(30, 1)", &nan);
        broken(&[("x", x("(30, 2)", 60)), ("value", value)], &["value", "NaN"]);
        let good = [("x", x("(3, 2)", 6)), ("value", x("(3, 1)", 3))];
        npz(&folder, "d.npz", true, &good);
        folder.run("train data d.npz --valid 2 --test 1").fails(2, &["leave none of 3"]);
        folder.write("d.npz", "rubbish");
        folder.run("train data d.npz").fails(3, &["not a npz file"]);
        folder.write("d.csv", "1,2");
        folder.run("train data d.csv").fails(3, &[".npz"]);
    }

    /// With the embedded font, the pictures of timings have their words, too.
    #[test]
    fn pictures_of_timings_still_have_words() {
        let folder = Folder::new();
        folder.run("timing --in-feature-range 2 --nex 2 --num-trials 1 --plot t.svg").ok();
        assert!(std::fs::read_to_string(folder.path("t.svg")).unwrap().contains("number of inputs"));
    }

    /// `mpirun -n 2` makes, from the same global batches, the model of one process, to rounding.
    #[cfg(feature = "mpi")]
    #[test]
    fn two_processes_make_the_model_of_one() {
        let folder = Folder::new();
        let line =
            "train hermite --points 61 --valid 10 --test 20 --batch 20 --epochs 3 --lbfgs 0 --dtype f64 --json -o";
        folder.run(&format!("{line} one")).ok();
        let mut command = std::process::Command::new("mpirun");
        command.args(["-n", "2", "--allow-run-as-root", "--oversubscribe", env!("CARGO_BIN_EXE_hessquik")]);
        let output = command.args(line.split_whitespace()).arg("two").current_dir(folder.path("")).output();
        let output = output.expect("mpirun, of Debian's openmpi-bin");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        // the first process reports, once
        assert_eq!(text.matches("relative_error").count(), 1, "{text}");
        assert_eq!(names(&folder.path("one")), names(&folder.path("two")));
        let [one, two] = ["one", "two"].map(|name| folder.tensors(&format!("{name}/model.safetensors")));
        for (name, a) in &one {
            a.close(&two[name], 1e-11);
        }
    }
}
