"""What can be set of who is calling."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

LEAST_SECRET = 32  # bytes, what HMAC with SHA-256 has to offer (RFC 7518, 3.2)
EVERYBODY_KNOWS = "development: a secret that stands in the source for everybody to read"
"""Signs and verifies where nothing is set, in development and test alone."""

Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "EdDSA"]


def _long_enough(secret: SecretStr | None) -> SecretStr | None:
    if not secret:  # compose files and .env have a line for what is not set
        return None
    text = secret.get_secret_value()
    if len(text.encode()) < LEAST_SECRET:
        raise ValueError(f"should have at least {LEAST_SECRET} bytes; `openssl rand -base64 48` makes one")
    if text.lstrip().startswith("-----BEGIN"):
        raise ValueError("is a key, which APP_AUTH_PRIVATE_KEY or APP_AUTH_PUBLIC_KEY takes, and no shared secret")
    return secret


def _readable_public(pem: str) -> str:
    if pem:
        from .pem import public_keys

        public_keys(pem)  # raises what is wrong with it
    return pem


def _readable_private(pem: SecretStr | None) -> SecretStr | None:
    if not pem:
        return None
    from .pem import private_key

    private_key(pem.get_secret_value())
    return pem


def _web_address(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("should be an address such as https://issuer.example/.well-known/jwks.json")
    return url


Secret = Annotated[SecretStr | None, AfterValidator(_long_enough)]


class AuthSettings(BaseModel):
    """The settings that the capability `auth` adds to a service's."""

    auth_issuer: Annotated[
        str, Field(description="Whose tokens are taken: what their claim iss says. Empty: the service's name.")
    ] = ""
    auth_audience: Annotated[
        tuple[str, ...],
        Field(
            description="For whom tokens must be: what their claim aud says, one of these. None: the service's name."
        ),
    ] = ()
    auth_secret: Annotated[Secret, Field(description="The secret that tokens are signed with (HS256), 32 bytes.")] = (
        None
    )
    auth_previous_secret: Annotated[
        Secret, Field(description="The secret before that one: its tokens are still taken, none are signed with it.")
    ] = None
    auth_public_key: Annotated[
        str,
        AfterValidator(_readable_public),
        Field(description="The issuer's public key as PEM (RSA, P-256 or Ed25519); several, while it changes."),
    ] = ""
    auth_private_key: Annotated[
        Annotated[SecretStr | None, AfterValidator(_readable_private)],
        Field(description="The private key as PEM, where this service signs tokens."),
    ] = None
    auth_jwks_url: Annotated[
        str,
        AfterValidator(_web_address),
        Field(
            description="Where the issuer publishes its keys (JWKS).",
            examples=["https://issuer.example/.well-known/jwks.json"],
        ),
    ] = ""
    auth_jwks_max_age_seconds: Annotated[
        float, Field(gt=0, description="How old these keys may become before they are fetched again, meanwhile used.")
    ] = 300
    auth_jwks_keep_seconds: Annotated[
        float, Field(gt=0, description="How long they are used while the issuer does not answer.")
    ] = 86_400
    auth_jwks_retry_seconds: Annotated[
        float, Field(gt=0, description="The least time between two fetches, whatever keys the tokens name.")
    ] = 10
    auth_jwks_timeout_seconds: Annotated[float, Field(gt=0, description="How long a fetch may take.")] = 5
    auth_algorithms: Annotated[
        tuple[Algorithm, ...],
        Field(description="Signatures that are taken. None: HS256 with a secret, else RS256, ES256 and EdDSA by key."),
    ] = ()
    auth_leeway_seconds: Annotated[
        float, Field(ge=0, le=300, description="How far the issuer's clock may be from this one's.")
    ] = 30
    auth_token_limit_bytes: Annotated[
        int, Field(ge=256, description="The largest token; a larger one is not read.")
    ] = 8192
    auth_scopes_claim: Annotated[
        str, Field(min_length=1, description="The claim with the scopes: a text with spaces, or a list.")
    ] = "scope"
    auth_log_subject: Annotated[
        bool, Field(description="Whether access lines tell the caller's subject: an id, or a person's name.")
    ] = True

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        kinds = {
            "auth_secret": self.auth_secret or self.auth_previous_secret,
            "auth_public_key or auth_private_key": self.auth_public_key or self.auth_private_key,
            "auth_jwks_url": self.auth_jwks_url,
        }
        given = [name for name, value in kinds.items() if value]
        if len(given) > 1:
            # With a public key and a secret side by side, whoever has the one could pass it off as the other.
            raise ValueError(f"tokens are verified in one way, and {' and '.join(given)} are set. Set one of them")
        if self.auth_previous_secret and not self.auth_secret:
            raise ValueError("auth_previous_secret is set and auth_secret is not: the new one is missing")
        return self

    @model_validator(mode="after")
    def _no_known_secret(self) -> Self:
        if is_private(self):
            return self
        if not has_key(self):
            raise ValueError(
                "no key to verify tokens with. Set one of APP_AUTH_JWKS_URL, APP_AUTH_PUBLIC_KEY and APP_AUTH_SECRET; "
                "each may be a file, as in APP_AUTH_PUBLIC_KEY_FILE. Only development and test do without"
            )
        for name in ("auth_secret", "auth_previous_secret"):
            secret: SecretStr | None = getattr(self, name)
            if secret and secret.get_secret_value() == EVERYBODY_KNOWS:
                raise ValueError(f"{name} is the one that stands in the source. `openssl rand -base64 48` makes one")
        return self

    @model_validator(mode="after")
    def _fitting_algorithms(self) -> Self:
        shared = not (self.auth_public_key or self.auth_private_key or self.auth_jwks_url)
        if wrong := [name for name in self.auth_algorithms if name.startswith("HS") != shared]:
            kind = "a secret" if shared else "public keys"
            raise ValueError(f"auth_algorithms has {wrong[0]}, which does not go with {kind}. Leave it empty")
        return self


def is_private(settings: BaseModel) -> bool:
    """Whether this is a person's own machine, where a key that everybody knows does no harm."""
    return getattr(settings, "environment", "development") in {"development", "test"}


def has_key(settings: AuthSettings) -> bool:
    """Whether a key was set."""
    return bool(settings.auth_secret or settings.auth_public_key or settings.auth_private_key or settings.auth_jwks_url)
