# ruff: noqa: E501 - messages are kept whole
"""What messages are called, in the words of sites and of yt-dlp (its source, and public issue threads)."""

from __future__ import annotations

import pytest

from d2midi_build.crawl.messages import classify, retry_after_s, typed_error
from d2midi_build.errors import PermanentError, PolicyError, TransientError

_COOKIES_ADVICE = (
    "Use --cookies-from-browser or --cookies for the authentication. See  "
    "https://github.com/yt-dlp/yt-dlp/wiki/FAQ#how-do-i-pass-cookies-to-yt-dlp  for how to manually pass cookies"
)
_REPORT = (
    "; please report this issue on  https://github.com/yt-dlp/yt-dlp/issues?q= , filling out the appropriate issue "
    "template. Confirm you are on the latest version using  yt-dlp -U"
)

BLOCKED = [
    f"ERROR: [youtube] DbgPim2Ni9Y: Sign in to confirm you’re not a bot. {_COOKIES_ADVICE}",
    "ERROR: [youtube] 21NlqgLVVEA: Sign in to confirm you're not a bot. This helps protect our community.",
    "ERROR: [youtube] x: Unable to download webpage: HTTP Error 429: Too Many Requests (caused by <HTTPError 429: "
    "Too Many Requests>)",
    "ERROR: [youtube] x: This content isn't available, try again later. The current session has been rate-limited by "
    "YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between video requests to avoid "
    "exceeding the rate limit.",
    "ERROR: [Instagram] DC8gC__NeU0: Requested content is not available, rate-limit reached or login required. Use "
    "--cookies, --cookies-from-browser, --username and --password, --netrc-cmd, or --netrc (instagram) to provide "
    "account credentials",
    "ERROR: [BiliBili] 1xx: Unable to download webpage: HTTP Error 412: Precondition Failed",
    "ERROR: [generic] Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with  "
    '--extractor-args "generic:impersonate"',
    "ERROR: unable to download video data: HTTP Error 403: Forbidden",
    "ERROR: [BiliBili] x: Request is blocked by server (412), please wait and try later.",
    "ERROR: [TikTok] 7: Your IP address is blocked from accessing this post",
    "ERROR: [TikTok] 7: Video not available, status code 10204; solve the captcha",
]
AGAIN = [
    "ERROR: [damtomo] x: There is an error on server-side. Try again later.",
    "ERROR: [generic] Unable to download webpage: HTTP Error 503: Service Unavailable",
    "ERROR: [download] Got error: HTTP Error 502: Bad Gateway. Giving up after 5 retries",
    "ERROR: [youtube] x: Unable to download API page: [Errno -3] Temporary failure in name resolution",
    "ERROR: [generic] Unable to download webpage: HTTPSConnection(host='h', port=443): Failed to resolve 'h'",
    "ERROR: [youtube] x: Unable to download API page: The read operation timed out",
    "ERROR: unable to download video data: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by "
    "peer'))",
    "ERROR: [download] Got error: 1048576 bytes read, 30408704 more expected. Giving up after 10 retries",
    "ERROR: content too short (expected 100 bytes and served 7)",
    "ERROR: [generic] Unable to connect to proxy",
    f"ERROR: [youtube] x: Unable to extract yt initial data{_REPORT}",
    f"ERROR: [vk] x: Failed to parse JSON (caused by JSONDecodeError(\"Expecting value in '': line 1\")){_REPORT}",
]
LATER = [
    "ERROR: [streamable] x: This video is currently unavailable. It may still be uploading or processing.",
    "ERROR: [wrestleuniverse] x: pycryptodomex not found. Please install",
    "ERROR: unable to write data: [Errno 28] No space left on device",
    "ERROR: [youtube] x: Premieres in 3 hours",
    "ERROR: [youtube] x: This live event will begin in 2 days.",
    "ERROR: [twitch:stream] y: The channel is not currently live",
]
POLICY = [
    "ERROR: [vimeo] x: This video is protected by a password, use the --video-password option",
    "ERROR: [youku] x: Youku said: Sorry, this video is available in China only",
    "ERROR: [kuwo] x: This song is blocked in this region",
    "ERROR: [weverse] x: Your account does not have access to this content",
    "ERROR: [ixigua] x: Cookies (not necessarily logged in) are needed",
    "ERROR: [youtube] x: Private video. Sign in if you've been granted access to this video",
    "ERROR: [youtube] x: Video unavailable. This video is private",
    f"ERROR: [youtube] x: Sign in to confirm your age. This video may be inappropriate for some users. {_COOKIES_ADVICE}",
    "ERROR: [youtube] x: Video unavailable. The uploader has not made this video available in your country",
    "ERROR: [youtube] x: Video unavailable. This video contains content from SME, who has blocked it in your country "
    "on copyright grounds\nThis video is available in Japan.\nYou might want to use a VPN or a proxy server",
    "ERROR: [youtube] x: Join this channel to get access to members-only content like this video, and other "
    "exclusive perks.",
    "ERROR: [youtube] x: This video requires payment to watch",
    "ERROR: [facebook] x: This video is only available for registered users. " + _COOKIES_ADVICE,
    "ERROR: [vimeo] x: The web client only works when logged-in. " + _COOKIES_ADVICE,
    f"ERROR: [Instagram] DU3: Instagram sent an empty media response. {_COOKIES_ADVICE}{_REPORT}",
    "ERROR: [DRM] The requested site is known to use DRM protection. It will NOT be supported.",
    "ERROR: [crunchyroll] x: This video is DRM protected",
    "ERROR: [generic] Unable to download webpage: HTTP Error 403: Forbidden (caused by <HTTPError 403: Forbidden>)",
    "ERROR: [generic] Unable to download webpage: HTTP Error 401: Unauthorized",
    "ERROR: [bbc] x: This video is not available from your location due to geo restriction",
    "ERROR: [generic] Unable to download webpage: HTTP Error 451: Unavailable For Legal Reasons",
]
PERMANENT = [
    "ERROR: [rtve] x: The webpage doesn't contain any video",
    "ERROR: [yahoo] x: This article does not contain a video",
    "ERROR: [youtube] x: Video unavailable",
    "ERROR: [youtube] x: Video unavailable. This video is no longer available because the YouTube account associated "
    "with this video has been terminated.",
    "ERROR: [youtube] x: Video unavailable. This video has been removed by the uploader",
    "ERROR: [youtube] x: This video has been removed for violating YouTube's Terms of Service",
    "ERROR: [youtube:tab] PL: YouTube said: The playlist does not exist.",
    "ERROR: [generic] Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
    "ERROR: [generic] Unable to download webpage: HTTP Error 410: Gone",
    "ERROR: Unsupported URL: https://example.org/private/captcha-429",
    "ERROR: [youtube:truncated_id] abc: Incomplete YouTube ID abc. URL https://youtu.be/abc looks truncated.",
    "ERROR: [twitter] 1: No video could be found in this tweet",
    "ERROR: [youtube] x: Requested format is not available. Use --list-formats for a list of available formats",
    "ERROR: [generic] Unable to download webpage: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
    "certificate has expired",
    "ERROR: something nobody has seen before",
]


@pytest.mark.parametrize("message", BLOCKED)
def test_blocked(message: str) -> None:
    verdict = classify(message)
    assert (verdict.reason, verdict.blocked, verdict.again) == ("transient", True, False)


@pytest.mark.parametrize("message", AGAIN)
def test_worth_another_try_at_once(message: str) -> None:
    verdict = classify(message)
    assert (verdict.reason, verdict.blocked, verdict.again) == ("transient", False, True)


@pytest.mark.parametrize("message", LATER)
def test_worth_another_try_later(message: str) -> None:
    verdict = classify(message)
    assert (verdict.reason, verdict.blocked, verdict.again) == ("transient", False, False)


@pytest.mark.parametrize("message", POLICY)
def test_policy(message: str) -> None:
    verdict = classify(message)
    assert (verdict.reason, verdict.blocked) == ("policy", False), verdict.meaning


@pytest.mark.parametrize("message", PERMANENT)
def test_permanent(message: str) -> None:
    verdict = classify(message)
    assert (verdict.reason, verdict.blocked) == ("permanent", False), verdict.meaning


def test_a_warning_explains_an_error_that_says_little() -> None:
    limited = "WARNING: [youtube] Unable to download webpage: HTTP Error 429: Too Many Requests"
    assert classify(f"ERROR: [youtube] x: No video formats found!{_REPORT}\n{limited}").blocked
    assert not classify(
        "ERROR: [youtube] x: No video formats found!\nWARNING: [youtube] x: no thumbnails"
    ).blocked
    assert classify(f"ERROR: [generic] HTTP Error 404: Not Found\n{limited}").reason == "permanent"
    assert classify(f"ERROR: [youtube] x: Private video\n{limited}").reason == "policy"


@pytest.mark.parametrize("name", ["rate-limit", "private-video-captcha", "DRM", "not-a-bot"])
def test_names_of_videos_say_nothing(name: str) -> None:
    said = f"ERROR: [generic] {name}: Unable to download webpage: HTTP Error 404: Not Found"
    assert classify(said).meaning == classify(said.replace(name, "dance")).meaning
    assert classify(f"ERROR: Unsupported URL: https://h.org/{name}").reason == "permanent"


def test_errors_keep_the_words_and_say_what_to_do() -> None:
    for message, kind in (
        (BLOCKED[0], TransientError),
        (POLICY[0], PolicyError),
        (PERMANENT[0], PermanentError),
    ):
        error = typed_error("https://h.org/v", message)
        assert type(error) is kind
        assert error.tool_message == message
        assert error.message.startswith("https://h.org/v: ")
    assert "crawl.cookies" in typed_error("u", BLOCKED[0]).message


def test_retry_after_is_read_back() -> None:
    assert retry_after_s("ERROR: HTTP Error 429 (Retry-After: 120 s)\nWARNING: x") == 120
    assert retry_after_s("ERROR: HTTP Error 429") is None
