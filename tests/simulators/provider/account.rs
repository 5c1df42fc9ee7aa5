//! An account whose limits are kept, and told, as one house does it. Its time passes when it is told to.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

const MINUTE: f64 = 60.0;
const DAY: f64 = 86_400.0;

/// Who keeps the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum House {
    /// Requests and tokens by the minute, both in headers.
    OpenAi,
    /// Headers: requests by the day, tokens by the minute. Requests by the minute only in refusals.
    Groq,
    /// No headers; a refusal names its quotas, and lies about how long a day is.
    Google,
    /// No headers; each text is a request, and who goes on after two refusals is banned.
    LibreTranslate,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Requests,
    Tokens,
}

/// An account with its limits.
#[derive(Clone, Debug)]
pub struct Account {
    house: House,
    buckets: Vec<Bucket>,
    n_refused: usize,
}

/// One limit, refilled continuously.
#[derive(Clone, Debug)]
struct Bucket {
    counted: Counted,
    per: f64,
    limit: f64,
    used: f64,
}

/// What becomes of a call.
pub enum Admission {
    /// It is answered, with these headers.
    Admitted(Vec<(&'static str, String)>),
    /// It is refused.
    Refused(HttpResponse),
}

impl Account {
    /// An account without limits.
    pub fn at(house: House) -> Self {
        Self {
            house,
            buckets: Vec::new(),
            n_refused: 0,
        }
    }

    pub fn per_minute(self, counted: Counted, limit: f64) -> Self {
        self.with(counted, limit, MINUTE)
    }

    pub fn per_day(self, counted: Counted, limit: f64) -> Self {
        self.with(counted, limit, DAY)
    }

    fn with(mut self, counted: Counted, limit: f64, per: f64) -> Self {
        self.buckets.push(Bucket {
            counted,
            per,
            limit,
            used: 0.0,
        });
        self
    }

    /// The account with all of its limits used up.
    pub fn spent(mut self) -> Self {
        for bucket in &mut self.buckets {
            bucket.used = bucket.limit;
        }
        self
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: f64) {
        for bucket in &mut self.buckets {
            bucket.used = (bucket.used - seconds * bucket.limit / bucket.per).max(0.0);
        }
    }

    /// Counts a call, or refuses it.
    pub fn admit(&mut self, n_texts: usize, n_tokens: usize) -> Admission {
        let n_requests = match self.house {
            House::LibreTranslate => n_texts,
            _ => 1,
        };
        let need = |bucket: &Bucket| match bucket.counted {
            Counted::Requests => n_requests as f64,
            Counted::Tokens => n_tokens as f64,
        };
        let full: Vec<Bucket> = self
            .buckets
            .iter()
            .filter(|bucket| bucket.used + need(bucket) > bucket.limit)
            .cloned()
            .collect();
        if let Some(first) = full.first() {
            self.n_refused += 1;
            return Admission::Refused(self.refusal(&full, need(first)));
        }
        for bucket in &mut self.buckets {
            bucket.used += need(bucket);
        }
        Admission::Admitted(self.headers())
    }

    /// What is left of a limit, as this account counts.
    pub fn left(&self, counted: Counted) -> f64 {
        let of = |bucket: &&Bucket| bucket.counted == counted;
        let bucket = self.buckets.iter().find(of).expect("such a limit");
        (bucket.limit - bucket.used).floor()
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let requests_per = match self.house {
            House::OpenAi => MINUTE,
            House::Groq => DAY,
            House::Google | House::LibreTranslate => return Vec::new(),
        };
        let mut headers = Vec::new();
        let find = |counted, per: f64| {
            let of = |bucket: &&Bucket| bucket.counted == counted && bucket.per == per;
            self.buckets.iter().find(of)
        };
        if let Some(bucket) = find(Counted::Requests, requests_per) {
            headers.extend([
                ("x-ratelimit-limit-requests", bucket.limit.to_string()),
                ("x-ratelimit-remaining-requests", bucket.left()),
                ("x-ratelimit-reset-requests", go_duration(bucket.reset())),
            ]);
        }
        if let Some(bucket) = find(Counted::Tokens, MINUTE) {
            headers.extend([
                ("x-ratelimit-limit-tokens", bucket.limit.to_string()),
                ("x-ratelimit-remaining-tokens", bucket.left()),
                ("x-ratelimit-reset-tokens", go_duration(bucket.reset())),
            ]);
        }
        headers
    }

    fn refusal(&self, full: &[Bucket], need: f64) -> HttpResponse {
        let first = &full[0];
        let mut response = match self.house {
            House::OpenAi if need > first.limit => {
                chat_refusal(429, &first.openai_too_large(need), first)
            }
            House::OpenAi => chat_refusal(429, &first.openai_message(need), first),
            House::Groq if need > first.limit => {
                chat_refusal(413, &first.groq_too_large(need), first)
            }
            House::Groq => chat_refusal(429, &first.groq_message(need), first),
            House::Google => google_refusal(full),
            House::LibreTranslate if self.n_refused > 2 => HttpResponse::Forbidden()
                .json(json!({"error": "Too many request limits violations"})),
            House::LibreTranslate => HttpResponse::TooManyRequests().json(
                json!({"error": format!("Slowdown: {} per 1 {}", first.limit, first.window())}),
            ),
        };
        let mut headers = self.headers();
        if matches!(self.house, House::OpenAi | House::Groq) {
            headers.push(("retry-after", first.wait(need).ceil().to_string()));
        }
        add_headers(&mut response, headers);
        response
    }
}

impl Bucket {
    fn left(&self) -> String {
        (self.limit - self.used).floor().to_string()
    }

    /// The seconds until all of it is free again.
    fn reset(&self) -> f64 {
        self.used * self.per / self.limit
    }

    /// The seconds until so much is free.
    fn wait(&self, need: f64) -> f64 {
        (self.used + need - self.limit).min(self.limit) * self.per / self.limit
    }

    fn window(&self) -> &'static str {
        if self.per == DAY { "day" } else { "minute" }
    }

    fn short_window(&self) -> &'static str {
        if self.per == DAY { "day" } else { "min" }
    }

    fn noun(&self) -> &'static str {
        match self.counted {
            Counted::Requests => "requests",
            Counted::Tokens => "tokens",
        }
    }

    /// `RPM`, `TPD` and the like.
    fn initials(&self) -> String {
        let letter = |word: &str| word[..1].to_uppercase();
        format!("{}P{}", letter(self.noun()), letter(self.window()))
    }

    fn openai_message(&self, need: f64) -> String {
        format!(
            "Rate limit reached for m in organization org-1 on {} per {} ({}): Limit {}, Used {}, Requested {need}. Please try again in {}. Visit https://platform.openai.com/account/rate-limits to learn more.",
            self.noun(),
            self.short_window(),
            self.initials(),
            self.limit,
            self.used.ceil(),
            go_duration(self.wait(need)),
        )
    }

    fn openai_too_large(&self, need: f64) -> String {
        format!(
            "Request too large for m in organization org-1 on {} per {} ({}): Limit {}, Requested {need}. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.",
            self.noun(),
            self.short_window(),
            self.initials(),
            self.limit,
        )
    }

    fn groq_message(&self, need: f64) -> String {
        format!(
            "Rate limit reached for model `m` in organization `org_1` service tier `on_demand` on {} per {} ({}): Limit {}, Used {}, Requested {need}. Please try again in {}. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
            self.noun(),
            self.window(),
            self.initials(),
            self.limit,
            self.used.ceil(),
            go_duration(self.wait(need)),
        )
    }

    fn groq_too_large(&self, need: f64) -> String {
        format!(
            "Request too large for model `m` in organization `org_1` service tier `on_demand` on {} per {} ({}): Limit {}, Requested {need}, please reduce your message size and try again.",
            self.noun(),
            self.window(),
            self.initials(),
            self.limit,
        )
    }

    /// How Google calls this quota.
    fn violation(&self) -> Value {
        let (metric, id) = match (self.counted, self.per == DAY) {
            (Counted::Requests, true) => (
                "generate_content_free_tier_requests",
                "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            ),
            (Counted::Requests, false) => (
                "generate_content_free_tier_requests",
                "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            ),
            (Counted::Tokens, _) => (
                "generate_content_free_tier_input_token_count",
                "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            ),
        };
        json!({
            "quotaMetric": format!("generativelanguage.googleapis.com/{metric}"),
            "quotaId": id,
            "quotaDimensions": {"location": "global", "model": "m"},
            "quotaValue": self.limit.to_string(),
        })
    }
}

/// Adds headers to an answer.
pub fn add_headers(response: &mut HttpResponse, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value).expect("a value");
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, value);
    }
}

fn chat_refusal(status: u16, message: &str, bucket: &Bucket) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).expect("a status")).json(json!({"error": {
        "message": message, "type": bucket.noun(), "param": null, "code": "rate_limit_exceeded",
    }}))
}

/// As seen from the free tier, with a wait that is right for a minute and a lie for a day.
fn google_refusal(full: &[Bucket]) -> HttpResponse {
    let violations: Vec<Value> = full.iter().map(Bucket::violation).collect();
    HttpResponse::TooManyRequests().json(json!({"error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.\nPlease retry in 22.1s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": [
                {"description": "Learn more about Gemini API quotas",
                 "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "22s"},
        ],
    }}))
}

/// Seconds as Go prints a duration: `1h23m31s`, `2m59.56s`, `7.66s`, `370ms`, `0s`.
fn go_duration(seconds: f64) -> String {
    let millis = (seconds * 1_000.0).round() as u64;
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, (millis % 60_000) as f64 / 1_000.0);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[test]
fn durations_are_printed_as_go_does() {
    for (seconds, text) in [
        (0.0, "0s"),
        (0.37, "370ms"),
        (7.66, "7.66s"),
        (179.56, "2m59.56s"),
        (360.0, "6m0s"),
        (5_011.0, "1h23m31s"),
    ] {
        assert_eq!(go_duration(seconds), text);
    }
}
