// Golden files of the crate's own QNAT version 2; and what its reader says to a file.
//
//     cargo run --release --ignore-rust-version -- write ../../../packages/qnat-writer/src/goldens
//     cargo run --release --ignore-rust-version -- load FILE...
#[path = "../../qlora-rs/src/goldens.rs"]
mod goldens;

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("write") => {
            let folder = args.next().expect("name a folder to write to");
            goldens::write_goldens(folder.as_ref(), "crate-v2", "1.3.0");
        }
        Some("load") => {
            for path in args {
                match qlora_rs::native::load_native(&path) {
                    Ok(model) => println!("{path}: {} tensors, {:?}", model.len(), model.metadata),
                    Err(error) => println!("{path}: refused: {error}"),
                }
            }
        }
        _ => panic!("say write FOLDER or load FILE..."),
    }
}
