//! A simulated server of Telegram's Bot API with one bot and one chat.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::faults::{Fault, befall};
use super::server::{Answer, Reply, Request, Server};

/// The bot's token.
pub const TOKEN: &str = "123456:AAF-the_token_of_the_bot";
/// The chat's public name.
pub const CHAT: &str = "@noticias";
/// The chat's number.
pub const NUMBER: i64 = -1_001_234;

/// A message that stands in the chat.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub id: i64,
    /// The text, or the caption.
    pub text: String,
    pub entities: Value,
    /// Addresses of media.
    pub media: Vec<String>,
    pub has_spoiler: bool,
    pub reply_to: Option<i64>,
    pub preview: Value,
    pub topic: Option<i64>,
}

/// A running server.
pub struct Telegram {
    server: Server,
    node: Arc<Mutex<Node>>,
}

#[derive(Default)]
struct Node {
    n_sent: i64,
    /// The chat's number is another one now.
    moved_to: Option<i64>,
    is_kicked: bool,
    is_revoked: bool,
    /// So many more messages are taken before the bot is told to wait so many seconds.
    budget: Option<(usize, u64)>,
    /// What Telegram cannot download.
    unreachable: Vec<String>,
    messages: Vec<Message>,
    faults: VecDeque<Fault>,
    methods: Vec<String>,
}

impl Telegram {
    pub fn start() -> Self {
        let node: Arc<Mutex<Node>> = Arc::default();
        let server = Server::of(&node, |node, request| node.serve(&request));
        Self { server, node }
    }

    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes something happen to a coming message; several wait their turn.
    pub fn fail_next(&self, fault: Fault) {
        self.node().faults.push_back(fault);
    }

    /// Makes the group a supergroup with another number.
    pub fn move_to(&self, number: i64) {
        self.node().moved_to = Some(number);
    }

    pub fn kick(&self) {
        self.node().is_kicked = true;
    }

    pub fn revoke(&self) {
        self.node().is_revoked = true;
    }

    /// Takes so many more messages, then tells the bot to wait.
    pub fn set_budget(&self, n_messages: usize, seconds: u64) {
        self.node().budget = Some((n_messages, seconds));
    }

    /// Makes an address one that Telegram cannot download.
    pub fn hide(&self, url: &str) {
        self.node().unreachable.push(url.to_owned());
    }

    /// Deletes a message as a person would.
    pub fn remove(&self, id: i64) {
        self.node().messages.retain(|it| it.id != id);
    }

    pub fn messages(&self) -> Vec<Message> {
        self.node().messages.clone()
    }

    pub fn n_standing(&self, text: &str) -> usize {
        let node = self.node();
        node.messages.iter().filter(|it| it.text == text).count()
    }

    /// The methods that were called, in their order.
    pub fn methods(&self) -> Vec<String> {
        self.node().methods.clone()
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn serve(&mut self, request: &Request) -> Reply {
        let rest = request.path.strip_prefix("/bot").unwrap_or_default();
        let (token, method) = rest.split_once('/').unwrap_or_default();
        if !token.contains(':') {
            return refused(404, "Not Found").into();
        }
        if token != TOKEN || self.is_revoked {
            return refused(401, "Unauthorized").into();
        }
        self.methods.push(method.to_owned());
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return refused(400, "Bad Request: can't parse JSON").into();
        };
        if !method.starts_with("send") {
            return self.answer(method, &body).into();
        }
        befall(self.faults.pop_front(), || self.answer(method, &body))
    }

    fn answer(&mut self, method: &str, body: &Value) -> Answer {
        if method == "getMe" {
            return done(json!({"id": 123456, "is_bot": true, "username": "noticias_bot"}));
        }
        if let Err(refusal) = self.admit(&body["chat_id"]) {
            return refusal;
        }
        match method {
            "getChat" => done(self.chat()),
            "sendMessage" | "sendPhoto" | "sendVideo" | "sendMediaGroup" => self.send(method, body),
            "editMessageText" | "editMessageCaption" => self.edit(method, body),
            "deleteMessage" => {
                let n_before = self.messages.len();
                let id = body["message_id"].as_i64();
                self.messages.retain(|it| Some(it.id) != id);
                match self.messages.len() < n_before {
                    true => done(json!(true)),
                    false => refused(400, "Bad Request: message to delete not found"),
                }
            }
            _ => refused(404, "Not Found"),
        }
    }

    fn admit(&self, chat: &Value) -> Result<(), Answer> {
        let is_name = chat == CHAT;
        let is_old = chat == NUMBER;
        match self.moved_to {
            Some(number) if is_old => {
                let mut body = words(
                    400,
                    "Bad Request: group chat was upgraded to a supergroup chat",
                );
                body["parameters"] = json!({"migrate_to_chat_id": number});
                return Err(Answer::new(400, "application/json", body.to_string()));
            }
            Some(number) if !is_name && chat != number => {
                return Err(refused(400, "Bad Request: chat not found"));
            }
            None if !is_name && !is_old => {
                return Err(refused(400, "Bad Request: chat not found"));
            }
            _ => (),
        }
        match self.is_kicked {
            true => Err(refused(
                403,
                "Forbidden: bot was kicked from the channel chat",
            )),
            false => Ok(()),
        }
    }

    fn send(&mut self, method: &str, body: &Value) -> Answer {
        if let Some((left, seconds)) = &mut self.budget {
            if *left == 0 {
                let mut refusal = words(429, &format!("Too Many Requests: retry after {seconds}"));
                refusal["parameters"] = json!({"retry_after": *seconds});
                return Answer::new(429, "application/json", refusal.to_string());
            }
            *left -= 1;
        }
        let group = body["media"].as_array().cloned().unwrap_or_default();
        let pieces: Vec<(&Value, &Value)> = match method {
            "sendMessage" => vec![(body, &Value::Null)],
            "sendPhoto" => vec![(body, &body["photo"])],
            "sendVideo" => vec![(body, &body["video"])],
            _ => group.iter().map(|it| (it, &it["media"])).collect(),
        };
        if method == "sendMediaGroup" && !(2..=10).contains(&pieces.len()) {
            return refused(400, "Bad Request: wrong number of media in the group");
        }
        let reply = &body["reply_parameters"];
        let mut reply_to = reply["message_id"].as_i64();
        if let Some(id) = reply_to
            && !self.messages.iter().any(|it| it.id == id)
        {
            if reply["allow_sending_without_reply"] != true {
                return refused(400, "Bad Request: message to be replied not found");
            }
            reply_to = None;
        }
        let mut messages = Vec::new();
        for (piece, medium) in pieces {
            match self.message(method == "sendMessage", piece, medium) {
                Ok(message) => messages.push(Message {
                    reply_to,
                    preview: body["link_preview_options"].clone(),
                    topic: body["message_thread_id"].as_i64(),
                    ..message
                }),
                Err(description) => return refused(400, description),
            }
        }
        let mut shown = Vec::new();
        for mut message in messages {
            self.n_sent += 1;
            message.id = self.n_sent;
            shown.push(json!({"message_id": message.id, "date": 0, "chat": self.chat()}));
            self.messages.push(message);
        }
        match method {
            "sendMediaGroup" => done(json!(shown)),
            _ => done(shown.remove(0)),
        }
    }

    /// The message of a body, or why there is none.
    fn message(
        &self,
        is_text: bool,
        body: &Value,
        medium: &Value,
    ) -> Result<Message, &'static str> {
        let (key, entities, max) = match is_text {
            true => ("text", "entities", 4096),
            false => ("caption", "caption_entities", 1024),
        };
        let text = body[key].as_str().unwrap_or_default();
        let n_units = text.encode_utf16().count();
        if is_text && text.trim().is_empty() {
            return Err("Bad Request: message text is empty");
        }
        if n_units > max {
            return Err(match is_text {
                true => "Bad Request: message is too long",
                false => "Bad Request: message caption is too long",
            });
        }
        let entities = body.get(entities).cloned().unwrap_or(json!([]));
        if !entities
            .as_array()
            .is_some_and(|them| them.iter().all(|it| is_inside(it, text)))
        {
            return Err("Bad Request: can't parse entities: an entity is outside of the text");
        }
        let media: Vec<String> = medium.as_str().map(str::to_owned).into_iter().collect();
        let is_bad = |url: &String| !url.starts_with("http") || self.unreachable.contains(url);
        if !is_text && (media.is_empty() || media.iter().any(is_bad)) {
            return Err("Bad Request: failed to get HTTP URL content");
        }
        Ok(Message {
            text: text.to_owned(),
            entities,
            media,
            has_spoiler: body["has_spoiler"] == true,
            ..Message::default()
        })
    }

    fn edit(&mut self, method: &str, body: &Value) -> Answer {
        let is_text = method == "editMessageText";
        let id = body["message_id"].as_i64();
        let Some(index) = self.messages.iter().position(|it| Some(it.id) == id) else {
            return refused(400, "Bad Request: message to edit not found");
        };
        if self.messages[index].media.is_empty() != is_text {
            return refused(400, "Bad Request: there is no text in the message to edit");
        }
        let medium = json!("http://kept.example");
        let changed = match self.message(is_text, body, &medium) {
            Ok(changed) => changed,
            Err(description) => return refused(400, description),
        };
        // What is not said again is as if it had never been said.
        let preview = match is_text {
            true => body["link_preview_options"].clone(),
            false => self.messages[index].preview.clone(),
        };
        let message = &mut self.messages[index];
        if message.text == changed.text
            && message.entities == changed.entities
            && message.preview == preview
        {
            return refused(
                400,
                "Bad Request: message is not modified: specified new message content is the same",
            );
        }
        (message.text, message.entities) = (changed.text, changed.entities);
        message.preview = preview;
        done(json!({"message_id": id, "date": 0, "chat": self.chat()}))
    }

    fn chat(&self) -> Value {
        match self.moved_to {
            Some(number) => json!({"id": number, "type": "supergroup", "title": "Noticias"}),
            None => json!({"id": NUMBER, "type": "channel", "title": "Noticias",
                "username": &CHAT[1..]}),
        }
    }
}

/// Whether an entity begins and ends between characters of the text.
fn is_inside(entity: &Value, text: &str) -> bool {
    let number = |key: &str| entity[key].as_u64().map(|it| it as usize);
    let (Some(offset), Some(length)) = (number("offset"), number("length")) else {
        return false;
    };
    let units: Vec<u16> = text.encode_utf16().collect();
    let piece = units.get(offset..offset + length);
    length > 0 && piece.is_some_and(|piece| String::from_utf16(piece).is_ok())
}

fn done(result: Value) -> Answer {
    let body = json!({"ok": true, "result": result});
    Answer::new(200, "application/json", body.to_string())
}

fn refused(status: u16, description: &str) -> Answer {
    Answer::new(
        status,
        "application/json",
        words(status, description).to_string(),
    )
}

fn words(status: u16, description: &str) -> Value {
    json!({"ok": false, "error_code": status, "description": description})
}
