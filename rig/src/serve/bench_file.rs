//! The bench file of a bench that is served: that of the virtual one, with every port where it really
//! is and every line on its pin of the sense board.

use lockrig_sim::bench::sense_pin;
use lockrig_sim::board::Line;
use toml::{Table, Value};

use super::{Place, Service};

/// How far a hold may be from the truth over these ports: the sketch's round, three bytes on the wire,
/// two rounds of the server, and what the system's scheduler adds to that on a busy machine (k = 2).
const UNCERTAINTY: &str = "20 ms";
/// Said at the head of the file.
pub const ABOUT: &str =
    "# Written by 'lockrig sim serve': the ports are there for as long as it runs.\n";

/// A bench file that could not be made from another.
#[derive(Debug, thiserror::Error)]
#[error("the bench file has no table '{0}' that leads to a virtual bench")]
pub struct NotVirtual(&'static str);

/// Makes the file from the virtual bench's.
///
/// # Errors
/// A file whose ports do not lead to a virtual bench; [`crate::bench::BenchFile`] refuses it, too.
pub fn real(text: &str, places: &[Place]) -> Result<String, NotVirtual> {
    let mut file: Table = text.parse().map_err(|_| NotVirtual("bench"))?;
    file.remove("emulates");
    if let Some(Value::String(name)) = file.get_mut("bench") {
        name.push_str("-served");
    }
    file.insert("uncertainty".to_owned(), UNCERTAINTY.into());
    let ports = table(&mut file, "ports")?;
    let mut senses = Vec::new();
    for (name, port) in ports.iter_mut() {
        let port = port.as_table_mut().ok_or(NotVirtual("ports"))?;
        let at = port.get("at").and_then(Value::as_str).unwrap_or_default();
        let lines = at == "sim:sense";
        let address = match lines {
            true => "sim:sense-board",
            false => at,
        };
        let service = Service::all().find(|one| one.sim_address().as_deref() == Some(address));
        let place = service.and_then(|one| places.iter().find(|place| place.name == one.name()));
        let place = place.ok_or(NotVirtual("ports"))?;
        port.insert("at".to_owned(), place.at.clone().into());
        port.remove("baud");
        if let Some(baud) = place.baud {
            port.insert("baud".to_owned(), i64::from(baud).into());
        }
        if lines {
            port.insert("driver".to_owned(), "firmata".into());
            senses.push(name.clone());
        }
    }
    if let Ok(lines) = table(&mut file, "lines") {
        for line in lines.iter_mut().filter_map(|(_, line)| line.as_table_mut()) {
            let port = line.get("port").and_then(Value::as_str);
            let senses = port.is_some_and(|port| senses.iter().any(|one| one == port));
            let pin = line.get("pin").and_then(Value::as_str);
            let known = pin.and_then(|pin| pin.parse::<Line>().ok());
            if let Some(known) = known.filter(|_| senses) {
                line.insert("pin".to_owned(), sense_pin(known).to_string().into());
            }
        }
    }
    Ok(format!("{ABOUT}{file}"))
}

/// Makes a file from the virtual bench's that leads there as before, but for the lines: they come through the
/// sense board's protocol.
///
/// # Errors
/// As of [`real`].
pub fn on_wires(text: &str) -> Result<String, NotVirtual> {
    let before: Table = text.parse().map_err(|_| NotVirtual("bench"))?;
    let places = Service::all().filter_map(|service| {
        Some(Place {
            name: service.name(),
            at: service.sim_address()?,
            baud: match service {
                Service::Instrument(port) => Some(port.baud()),
                Service::Probe | Service::Gdb => None,
            },
        })
    });
    let mut file: Table = real(text, &places.collect::<Vec<_>>())?
        .parse()
        .map_err(|_| NotVirtual("bench"))?;
    for key in ["bench", "emulates"] {
        let value = before.get(key).ok_or(NotVirtual(key))?;
        file.insert(key.to_owned(), value.clone());
    }
    Ok(file.to_string())
}

fn table<'f>(file: &'f mut Table, name: &'static str) -> Result<&'f mut Table, NotVirtual> {
    file.get_mut(name)
        .and_then(Value::as_table_mut)
        .ok_or(NotVirtual(name))
}
