//! Points as text: what is a number, a name, a comment or nothing of these; no point is lost or invented.
mod support;
use support::{Folder, Run};

fn eval(folder: &Folder, more: &str) -> Run {
    let model = support::golden("peaks_resnet");
    folder.run(&format!("eval {} --json -r value -o out.safetensors --force {more}", model.display()))
}

/// The values at the points of a text.
fn values(text: &str, more: &str) -> (Vec<f64>, serde_json::Value) {
    let folder = Folder::new();
    folder.write("x.csv", text);
    let json = eval(&folder, &format!("-i x.csv {more}")).ok().json();
    (folder.tensors("out.safetensors")["value"].numbers.clone(), json)
}

/// The text is refused, with these words.
fn refused(text: &str, words: &[&str]) {
    let folder = Folder::new();
    folder.write("x.csv", text);
    eval(&folder, "-i x.csv").fails(3, words);
    assert_eq!(folder.names(), ["x.csv"]);
}

#[test]
fn numbers_however_they_are_written() {
    let (wanted, json) = values("0.5,1.5\n0.01,2\n", "");
    assert!(json["names"].is_null() && json["notes"].is_null(), "{json}");
    for text in [
        "0,5;1,5\n0,01;2\n",
        "0,5\t1,5\n1D-2\t2,0D0\n",
        "5D-1,1.5D0\n1d-2,2D0\n",
        "\"0.5\",\"1.5\"\n\"0.01\",2\n",
        "\"0,5\" ; \"1,5\"\r\n0,01;2",
        " 0.5 ,  1.5\n0.01, 2 \n",
        "0.5  \"1.5\"\n.01 2.\n",
        "+0.5,15e-1\n0.01,2\n",
    ] {
        assert_eq!(values(text, "").0, wanted, "{text:?}");
    }
}

#[test]
fn missing_values_are_refused() {
    for (text, place) in [
        ("NA,NA\n1,2\n", "line 1, column 1"),
        ("x,y\n1,NA\n", "line 2, column 2"),
        ("1,2\nnan,4\n", "line 2, column 1"),
        ("1,2\n3,NaN\n", "line 2, column 2"),
        ("1,2\n,4\n", "line 2, column 1"),
        ("1,2\n3,\n", "line 2, column 2"),
        ("#N/A,5\n1,2\n", "line 1, column 1"),
        ("1,2\n#N/A,5\n", "line 2, column 1"),
        ("1;2\n#DIV/0!;5\n", "line 2, column 1"),
        ("1,2\n5,#VALUE!\n", "line 2, column 2"),
        ("1\t2\n#WERT!\t5\n", "line 2, column 1"),
        ("1,2\n\"#N/A\",5\n", "line 2, column 1"),
        ("1 2\n#N/A 5\n", "line 2, column 1"),
        ("1,2\nnull,None\n", "line 2, column 1"),
    ] {
        refused(text, &[place, "missing value"]);
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for (text, words) in [
        ("1.0.0,3..4\n1,2\n", ["line 1, column 1", "not a number"]),
        ("\"1,234.5\",2\n1,2\n", ["line 1, column 1", "not a number"]),
        ("1,234.5;2\n1;2\n", ["line 1, column 1", "not a number"]),
        ("1.234,5;2\n", ["line 1, column 1", "not a number"]),
        ("0,5;1\n1.5;2\n", ["line 2, column 1", "which one is meant"]),
        ("1;0.5\n2;1,234\n", ["line 2, column 2", "which one is meant"]),
        ("1D,2\n", ["line 1, column 1", "not a number"]),
        ("true,false\n1,2\n", ["line 1, column 1", "not a number"]),
        ("2024-01-01,2\n", ["line 1, column 1", "not a number"]),
        ("1,2\n3,0x10\n", ["line 2, column 2", "not a number"]),
        ("1,\"2\n3,4\"\n", ["line 1", "not closed"]),
        ("1,\"2\"3\n", ["line 1", "closing quote"]),
        ("1,2\"3\"\n", ["line 1", "quote in the middle"]),
        ("1,2\r3,4\r", ["line 1", "carriage return"]),
    ] {
        refused(text, &words);
    }
    let utf16: Vec<u8> = "\u{feff}1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let folder = Folder::new();
    folder.write("x.csv", utf16);
    eval(&folder, "-i x.csv").fails(3, &["UTF-16", "UTF-8"]);
}

#[test]
fn names_are_said() {
    let (wanted, _) = values("0.5,1.5\n", "");
    for (text, line, names) in [
        ("x,y\n0.5,1.5\n", 1, ["x", "y"]),
        ("\u{feff}\"x 1\",\"y, or so\"\n0.5,1.5\n", 1, ["x 1", "y, or so"]),
        ("# made by hand\n\ndx/dt;θ\n0,5;1,5\n", 3, ["dx/dt", "θ"]),
    ] {
        let folder = Folder::new();
        folder.write("x.csv", text);
        let run = eval(&folder, "-i x.csv").ok();
        let said = format!("note: x.csv: line {line} is taken as names of columns: {}", names.join(", "));
        assert_eq!(run.stderr.trim_end(), said);
        let json = run.json();
        assert_eq!((&json["names_line"], &json["names"]), (&line.into(), &names.as_slice().into()));
        assert_eq!(json["notes"][0], said.strip_prefix("note: ").unwrap());
        assert_eq!(folder.tensors("out.safetensors")["value"].numbers, wanted);
    }
    // of other files, too
    let folder = Folder::new();
    folder.write("x.csv", "0.5,1.5\n");
    folder.write("v.csv", "a,b\n1,0\n");
    let run = eval(&folder, "-i x.csv --directions v.csv").ok();
    assert!(run.stderr.contains("v.csv: line 1 is taken as names"), "{}", run.stderr);
}

#[test]
fn column_numbers_draw_a_warning() {
    for text in ["0,1\n0.5,1.5\n", "0,1\n3,4\n", "1,2\n0.5,1.5\n"] {
        let (found, json) = values(text, "");
        assert_eq!(found.len(), 2);
        assert!(json["notes"][0].as_str().unwrap().contains("column numbers"), "{json}");
    }
    for text in ["0,0\n1,1\n", "0.0,1.0\n0.5,1.5\n", "1,2\n3,4\n", "0,1\n"] {
        assert!(values(text, "").1["notes"].is_null(), "{text:?}");
    }
}

#[test]
fn comments() {
    let (wanted, _) = values("0.5,1.5\n1,2\n", "");
    for text in [
        "#x,y\n# a, b\n#####\n0.5,1.5\n# a note\n1,2\n",
        "0.5,1.5\n#note\n#\n1,2\n#end",
        "0.5 1.5\n# of spaces and 3 numbers\n1 2\n",
        "0.5;1.5\n# commas, too\n1;2\n",
    ] {
        assert_eq!(values(text, "").0, wanted, "{text:?}");
    }
    for text in ["1,2\n#3,4\n", "1,2\n# 3,4\n", "1,2\n#x,4\n", "1;2\n#3;4\n", "1 2\n#3 4\n", "1,2\n#3\n"] {
        refused(text, &["line 2", "comment"]);
    }
}

#[test]
fn columns_by_name_and_number() {
    let (wanted, _) = values("0.5,1.5\n1,2\n", "");
    let text = "when,y,x,2theta\n2024-01-01,1.5,0.5,NA\nlater,2,1,-\n";
    for columns in ["x,y", "2,1", "x,1"] {
        assert_eq!(values(text, &format!("--columns {columns}")).0, wanted, "{columns}");
    }
    let bare = "a 1.5 0.5\nb 2 1\n";
    assert_eq!(values(bare, "--columns 2,1").0, wanted);
    // what the command writes has its points in x0, x1
    let folder = Folder::new();
    folder.run("peaks -n 5 -o p.csv").ok();
    folder.run("peaks -n 5 -o p.npz").ok();
    folder.run("peaks -n 5 -o p.npy").fails(2, &[".npz"]);
    let model = support::golden("peaks_resnet");
    for input in ["p.csv", "p.npz", "p.csv --columns x0,x1", "p.npz --columns 0,1"] {
        folder.run(&format!("eval {} -i {input} -r value -o a.safetensors", model.display())).ok();
        folder.run(&format!("eval {} -i p.npz -r value -o b.safetensors", model.display())).ok();
        assert_eq!(folder.tensors("a.safetensors"), folder.tensors("b.safetensors"), "{input}");
    }
    folder.write("x.csv", text);
    for (columns, words) in [
        ("x,z", ["no column z", "when, y, x"]),
        ("x,2thet", ["did you mean 2theta", "no column"]),
        ("x,9", ["no column 9", "from 0"]),
        ("x,when", ["line 2, column 1", "2024-01-01"]),
    ] {
        eval(&folder, &format!("-i x.csv --columns {columns}")).fails(3, &words);
    }
    eval(&folder, "-i x.csv --columns x").fails(3, &["[2, 1]", "expected 2 columns"]);
    folder.write("x.csv", "1,2,3\n");
    eval(&folder, "-i x.csv").fails(3, &["[1, 3]", "--columns"]);
    eval(&folder, "-i x.csv --columns x,y").fails(3, &["no names", "column numbers, from 0"]);
    folder.write("x.csv", "x,x\n1,2\n");
    eval(&folder, "-i x.csv --columns x,1").fails(3, &["2 times"]);
}

/// A file without line ends does not fill the memory.
#[cfg(target_os = "linux")]
#[test]
fn a_line_without_end() {
    let folder = Folder::new();
    let file = std::fs::File::create(folder.path("x.csv")).unwrap();
    file.set_len(3 << 30).unwrap();
    let run = folder.shell("ulimit -v 4000000; exec \"$HESSQUIK\" eval \"$PEAKS\" -i x.csv -o out");
    run.fails(3, &["line 1 is longer than 16 MiB"]);
    let run = folder.shell(
        "yes 1, | tr -d '\\n' | (ulimit -v 4000000; head -c 100000000 | \"$HESSQUIK\" eval \"$PEAKS\" -i - -o out)",
    );
    run.fails(3, &["line 1 is longer than 16 MiB"]);
}
