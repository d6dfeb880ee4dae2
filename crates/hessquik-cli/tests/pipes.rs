//! Standard input and output, FIFOs, and every kind of file, read and written.
#![cfg(unix)]
mod support;
use support::{Folder, Tensor, golden, npy, npy_of, tensors};

/// The points of the golden network, as files of every kind.
fn folder() -> Folder {
    let folder = Folder::new();
    let x = &tensors(&golden("peaks_resnet"))["x"];
    folder.write("x.npy", npy_of(x));
    folder.write("x.csv", x.numbers.chunks(2).map(|row| format!("{},{}\n", row[0], row[1])).collect::<String>());
    std::fs::copy(golden("peaks_resnet"), folder.path("x.safetensors")).unwrap();
    npz(&folder, "x.npz", &[("x", npy_of(x))]);
    std::fs::create_dir(folder.path("x")).unwrap();
    folder.write("x/x.npy", npy_of(x));
    folder
}

fn npz(folder: &Folder, name: &str, arrays: &[(&str, Vec<u8>)]) {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path(name)).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn input_from_everywhere() {
    let folder = folder();
    let want = tensors(&golden("peaks_resnet"));
    for (i, line) in [
        "hessquik eval \"$PEAKS\" -i x.npz -o OUT",
        "hessquik eval \"$PEAKS\" -i x -o OUT",
        "hessquik eval \"$PEAKS\" -i - -o OUT < x.npy",
        "cat x.csv | hessquik eval \"$PEAKS\" -i - -o OUT",
        "cat x.npz | hessquik eval \"$PEAKS\" -i - -o OUT",
        "cat x.safetensors | hessquik eval \"$PEAKS\" --input-format safetensors -i - -o OUT",
        "cat x.safetensors | hessquik eval \"$PEAKS\" -i - -o OUT",
        "hessquik eval \"$PEAKS\" -i <(cat x.npy) -o OUT",
        "mkfifo f.csv; (cat x.csv > f.csv) & hessquik eval \"$PEAKS\" -i f.csv -o OUT",
        "mkfifo m; (cat \"$PEAKS\" > m) & hessquik eval m -i x.npy -o OUT",
        "hessquik eval - -i x.npy -o OUT < \"$PEAKS\"",
        "cp x.csv x.dat; hessquik eval \"$PEAKS\" -i x.dat --input-format csv -o OUT",
    ]
    .into_iter()
    .enumerate()
    {
        folder.shell(&line.replace("OUT", &format!("{i}.safetensors"))).ok();
        for (name, found) in folder.tensors(&format!("{i}.safetensors")) {
            found.close(&want[&name], 1e-12);
        }
    }
    folder.shell("hessquik eval - -i - -o out < x.npy").fails(2, &["standard input", "2 times"]);
    folder
        .shell("gzip -k x.npy; hessquik eval \"$PEAKS\" -i x.npy.gz -o out")
        .fails(3, &["x.npy.gz", "decompress", "-i -"]);
    folder.shell("hessquik eval \"$PEAKS\" -i - -o out < x.npy.gz").fails(3, &["gzip", "decompress"]);
    folder.shell("cp x.npy.gz z.csv; hessquik eval \"$PEAKS\" -i z.csv -o out").fails(3, &["gzip"]);
    folder.shell("hessquik info <(cat \"$PEAKS\")").ok();
    folder.shell("hessquik check - -n 1 < \"$PEAKS\"").ok();
    folder
        .shell("hessquik new - -o a.safetensors <<< '{\"type\": \"single\", \"in_features\": 2, \"out_features\": 1}'")
        .ok();
}

#[test]
fn output_to_everywhere() {
    let folder = folder();
    let eval = "hessquik eval \"$PEAKS\" -i x.npy -r value,gradient";
    folder.shell(&format!("{eval} -o want.safetensors")).ok();
    let want = folder.tensors("want.safetensors");
    let close = |name: &str, found: &Tensor| found.close(&want[name], 0.0);
    let text = folder.shell(&format!("{eval} -o -")).ok();
    assert!(text.stderr.contains("50 points"), "the report does not mix with results: {text:?}");
    check_csv(&text.stdout, &want);
    folder.shell(&format!("{eval} -o r.csv")).ok();
    assert_eq!(std::fs::read_to_string(folder.path("r.csv")).unwrap(), text.stdout);
    let json = folder.shell(&format!("{eval} --json -o - 2> report > /dev/null; cat report")).ok().json();
    assert_eq!(json["points"], 50);
    folder.shell(&format!("{eval} --output-format safetensors -o - > s.safetensors")).ok();
    folder.tensors("s.safetensors").iter().for_each(|(name, found)| close(name, found));
    folder.shell(&format!("{eval} -o r.npz; {eval} --output-format npz -o - > s.npz")).ok();
    for name in ["r.npz", "s.npz"] {
        let mut zip = zip::ZipArchive::new(std::fs::File::open(folder.path(name)).unwrap()).unwrap();
        for result in ["value", "gradient"] {
            let mut file = zip.by_name(&format!("{result}.npy")).unwrap();
            std::io::copy(&mut file, &mut std::fs::File::create(folder.path("one.npy")).unwrap()).unwrap();
            close(result, &folder.npy("one.npy"));
        }
    }
    folder.shell(&format!("{eval} -o - | head -n 1; exit ${{PIPESTATUS[0]}}")).ok();
    folder.shell(&format!("{eval} -o /dev/stdout | head -n 1")).ok();
    folder.shell(&format!("{eval},factored -o f.csv")).fails(2, &["factored.outer", ".csv"]);
    folder.shell("hessquik new --preset peaks -o - > m.safetensors; hessquik info m.safetensors").ok();
    let peaks = folder.shell("hessquik peaks -n 3 -o -").ok().stdout;
    assert!(peaks.starts_with("x0,x1,value,gradient_0,gradient_1,hessian_0_0,"), "{peaks}");
    assert!(!folder.path("-").exists());
    // through a chain of pipes
    folder.shell("hessquik peaks -n 3 -o - | hessquik eval \"$PEAKS\" -i - -r value -o - > chain.csv").ok();
    assert_eq!(std::fs::read_to_string(folder.path("chain.csv")).unwrap().lines().count(), 4);
}

fn check_csv(text: &str, want: &std::collections::BTreeMap<String, Tensor>) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("value,gradient_0,gradient_1"));
    let rows: Vec<Vec<f64>> = lines.map(|line| line.split(',').map(|n| n.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 50);
    for (s, row) in rows.iter().enumerate() {
        let g = &want["gradient"].numbers;
        assert_eq!(row[..], [want["value"].numbers[s], g[2 * s], g[2 * s + 1]]);
    }
}

/// Elements that are not those of C: halves, brain floats, booleans.
#[test]
fn small_elements() {
    let folder = Folder::new();
    let numbers = [0.5, -1.25, 2.0, 0.0];
    let file =
        |header: &str, bytes: &[u8]| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), bytes].concat();
    let header =
        |dtype: &str, n: usize| format!(r#"{{"x":{{"dtype":"{dtype}","shape":[2,2],"data_offsets":[0,{n}]}}}}"#);
    let f16: Vec<u8> = numbers.iter().flat_map(|n| half::f16::from_f64(*n).to_le_bytes()).collect();
    let bf16: Vec<u8> = numbers.iter().flat_map(|n| half::bf16::from_f64(*n).to_le_bytes()).collect();
    let f64s: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let value = |name: &str| {
        let line = format!("eval {} -i {name} -r value -o out.safetensors", golden("peaks_resnet").display());
        let run = folder.run(&line).ok();
        (folder.tensors("out.safetensors")["value"].numbers.clone(), run.stderr)
    };
    folder.write("f64.npy", npy(1, "'<f8'", false, "(2, 2)", &f64s));
    let (wanted, _) = value("f64.npy");
    folder.write("a.npy", npy(1, "'<f2'", false, "(2, 2)", &f16));
    folder.write("b.npy", npy(1, "'<V2'", false, "(2, 2)", &bf16));
    folder.write("c.safetensors", file(&header("F16", 8), &f16));
    folder.write("d.safetensors", file(&header("BF16", 8), &bf16));
    npz(&folder, "e.npz", &[("x", npy(1, "'<f2'", false, "(2, 2)", &f16))]);
    for name in ["a.npy", "b.npy", "c.safetensors", "d.safetensors", "e.npz"] {
        let (found, said) = value(name);
        assert_eq!(found, wanted, "{name}");
        assert_eq!(said.contains("bfloat16"), name == "b.npy", "{said}");
    }
    folder.write("bits.csv", "1,0\n0,1\n");
    let (wanted, _) = value("bits.csv");
    folder.write("f.npy", npy(1, "'|b1'", false, "(2, 2)", &[1, 0, 0, 1]));
    folder.write("g.safetensors", file(&header("BOOL", 4), &[1, 0, 0, 1]));
    assert_eq!((value("f.npy").0, value("g.safetensors").0), (wanted.clone(), wanted));
    // integers with more digits than the precision
    folder.write("i.npy", npy(1, "'<i8'", false, "(1, 2)", &[(1i64 << 53) + 1, 0].map(i64::to_le_bytes).concat()));
    assert!(value("i.npy").1.contains("rounded"));
}

#[test]
fn arrays_by_name() {
    let folder = folder();
    let x = npy_of(&tensors(&golden("peaks_resnet"))["x"]);
    let eval = |name: &str| {
        folder.run(&format!("eval {} -i {name} -r value -o out --force", golden("peaks_resnet").display()))
    };
    npz(&folder, "one.npz", &[("arr_0", x.clone())]);
    assert!(eval("one.npz").ok().stderr.contains("arr_0"));
    npz(&folder, "two.npz", &[("a", x.clone()), ("b", x.clone())]);
    eval("two.npz").fails(3, &["no array named x", "a, b"]);
    npz(&folder, "cut.npz", &[("x", x[..x.len() - 1].to_vec())]);
    eval("cut.npz").fails(3, &["bytes long"]);
    folder.write("no.npz", "rubbish");
    eval("no.npz").fails(3, &["not a npz file"]);
    // a name that is there twice
    let header = r#"{"x":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},"x":{"dtype":"F64","shape":[1,2],"data_offsets":[16,32]}}"#;
    folder.write("d.safetensors", [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 32]].concat());
    eval("d.safetensors").fails(3, &["x appears twice"]);
}

/// How many results are NaN or infinite is said.
#[test]
fn results_that_are_not_finite() {
    let folder = Folder::new();
    let bytes = [0.5, 0.5, f64::NAN, 0.0, 1.0, f64::INFINITY].map(f64::to_le_bytes).concat();
    folder.write("x.npy", npy(1, "'<f8'", false, "(3, 2)", &bytes));
    let line = format!("eval {} -i x.npy -r value,gradient -o out", golden("peaks_resnet").display());
    let json = folder.run(&format!("{line} --json")).ok().json();
    let (value, gradient) =
        (json["not_finite"]["value"].as_u64().unwrap(), json["not_finite"]["gradient"].as_u64().unwrap());
    let odd =
        |name: &str| folder.npy(&format!("out/{name}.npy")).numbers.iter().filter(|n| !n.is_finite()).count() as u64;
    assert_eq!((value, gradient), (odd("value"), odd("gradient")));
    assert!(value >= 1 && gradient >= 2);
    let text = folder.run(&line).ok().stdout;
    assert!(text.contains(&format!("NaN or infinite: {value} of value, {gradient} of gradient")), "{text}");
    folder.write("y.csv", "0.5,0.5\n");
    let text = folder.run(&line.replace("x.npy", "y.csv")).ok().stdout;
    assert!(!text.contains("infinite"), "{text}");
}
