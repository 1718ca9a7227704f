//! `serve` that is asked to end while clients hold connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use teamchat_archive::sandbox::story;

use super::harness::{DONE, Place, Server, string};

/// Answer to a try to sign in, on a connection that stays open.
fn try_to_sign_in(client: &mut TcpStream) -> String {
    let form = "username=eve&password=a%20guess%20of%20hers";
    let head = "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded";
    write!(client, "{head}\r\ncontent-length: {}\r\n\r\n{form}", form.len()).unwrap();
    let mut buffer = [0; 1 << 16];
    let length = client.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn sigterm_ends_a_server_whose_clients_stay_and_its_access_log_is_signed() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    let address = string(&ready, "/url").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let connect = || TcpStream::connect(&address).unwrap();
    let (silent, mut idle) = (connect(), connect());
    let answer = try_to_sign_in(&mut idle);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    // Half of a further request on the one, which no answer is owed to.
    idle.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    serving.terminate();
    serving.finish().expect(DONE);
    drop((silent, idle));
    let log = rusqlite::Connection::open(place.archive().join("access.db")).unwrap();
    let number = |sql: &str| -> i64 { log.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(number("SELECT count(*) FROM entry WHERE header LIKE '%sign_in_failed%'"), 1);
    assert_eq!(number("SELECT max(size) FROM checkpoint"), number("SELECT count(*) FROM entry"));
}
