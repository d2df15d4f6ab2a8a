//! `cargo run -p firmware-images -- build` rebuilds the reference firmware's images, `… check` compares them
//! with what the sources give now.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use firmware_images::build::{TARGET, Tools};
use firmware_images::manifest::{Entry, Manifest};
use firmware_images::{Project, sha256};

const USAGE: &str = "\
usage: firmware-images build|check [--cargo PATH] [--rustc PATH] [--linker PATH] [--build-std]

build   build every image and write it with its manifest
check   build every image and compare: prints 'identical', or 'differs: ...' with exit code 1, or
        'not comparable: ...' if the committed images were built by another toolchain

Without options rustup's toolchain builds; it needs 'rustup target add thumbv6m-none-eabi'. Where that
cannot be had, the options name another toolchain with the sources of core, and a linker like rust-lld.";

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Vec<String>) -> Result<ExitCode, String> {
    let mut arguments = arguments.into_iter();
    let command = arguments.next();
    let mut tools = Tools::default();
    while let Some(option) = arguments.next() {
        let mut path = || arguments.next().map(PathBuf::from).ok_or(USAGE);
        match option.as_str() {
            "--cargo" => tools.cargo = Some(path()?),
            "--rustc" => tools.rustc = Some(path()?),
            "--linker" => tools.linker = Some(path()?),
            "--build-std" => tools.build_std = true,
            _ => return Err(format!("no option \"{option}\"\n{USAGE}")),
        }
    }
    let project = Project::of_this_program();
    match command.as_deref() {
        Some("build") => build(&project, &tools),
        Some("check") => check(&project, &tools),
        _ => Err(USAGE.to_owned()),
    }
}

fn build(project: &Project, tools: &Tools) -> Result<ExitCode, String> {
    let every = project.every_image().map_err(text)?;
    let built = tools.build(project, &every).map_err(text)?;
    let mut images = Vec::new();
    for (image, bytes) in every.iter().zip(built) {
        let path = project.image(image);
        fs::write(&path, &bytes).map_err(text)?;
        println!("{}: {} bytes", image.name, bytes.len());
        images.push(Entry {
            name: image.name.clone(),
            features: image.features.clone(),
            sha256: sha256(&bytes),
        });
    }
    let manifest = Manifest {
        sources: project.source_hash().map_err(text)?,
        toolchain: tools.toolchain(project).map_err(text)?,
        images,
    };
    manifest.write(&project.manifest()).map_err(text)?;
    Ok(ExitCode::SUCCESS)
}

fn check(project: &Project, tools: &Tools) -> Result<ExitCode, String> {
    let manifest = Manifest::read(&project.manifest()).map_err(text)?;
    let toolchain = tools.toolchain(project).map_err(text)?;
    let sources = project.source_hash().map_err(text)?;
    if sources != manifest.sources {
        println!("differs: the firmware's sources changed after the images were built");
        return Ok(ExitCode::FAILURE);
    }
    if toolchain != manifest.toolchain {
        println!(
            "not comparable: built with {}, you have {toolchain}",
            manifest.toolchain
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !tools.has_core(project).map_err(text)? {
        println!(
            "not comparable: {toolchain} has no core for {TARGET}; hint: 'rustup target add {TARGET}'"
        );
        return Ok(ExitCode::SUCCESS);
    }
    let every = project.every_image().map_err(text)?;
    let built = tools.build(project, &every).map_err(text)?;
    for (image, bytes) in every.iter().zip(built) {
        let committed = fs::read(project.image(image)).map_err(text)?;
        if committed != bytes {
            println!(
                "differs: \"{}\" is {} here and {} as committed",
                image.name,
                sha256(&bytes),
                sha256(&committed)
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("identical");
    Ok(ExitCode::SUCCESS)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
