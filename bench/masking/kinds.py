"""What stands for what: the entities of the labelled data, by our kinds and by those of the other engines.

An entity that is not here is not compared; LEFT_OUT says why.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity of presidio. `kinds` are ours for it; `name` is what a field with such a value is called, with which
    the cases are tried once more: what is found in context only has none in a bare number. `more` are other names that
    presidio itself gives such a value."""

    kinds: tuple[str, ...]
    name: str
    more: tuple[str, ...] = ()


ENTITIES: dict[str, Entity] = {
    "CREDIT_CARD": Entity(("card",), "card number"),
    "IBAN_CODE": Entity(("iban",), "IBAN"),
    "CRYPTO": Entity(("crypto-address",), "wallet"),
    "US_BANK_NUMBER": Entity(("bank-account",), "bank account number"),
    "ABA_ROUTING_NUMBER": Entity(("routing-number",), "routing number"),
    "EMAIL_ADDRESS": Entity(("email",), "e-mail"),
    "PHONE_NUMBER": Entity(("phone",), "phone"),
    "PH_MOBILE_NUMBER": Entity(("phone",), "phone", ("PHONE_NUMBER",)),
    "TR_PHONE_NUMBER": Entity(("phone",), "phone", ("PHONE_NUMBER",)),
    "IP_ADDRESS": Entity(("ip-address",), "IP address"),
    "MAC_ADDRESS": Entity(("mac-address",), "MAC address"),
    "US_SSN": Entity(("ssn",), "social security number"),
    "US_ITIN": Entity(("us-itin",), "ITIN"),
    "US_PASSPORT": Entity(("passport",), "passport number"),
    "US_DRIVER_LICENSE": Entity(("driving-licence",), "driver license number"),
    "US_MBI": Entity(("us-mbi",), "Medicare number"),
    "US_NPI": Entity(("us-npi",), "NPI"),
    "MEDICAL_LICENSE": Entity(("medical-license",), "DEA number"),
    "CA_SIN": Entity(("ca-sin",), "social insurance number"),
    "UK_NHS": Entity(("uk-nhs",), "NHS number"),
    "UK_NINO": Entity(("uk-nino",), "national insurance number"),
    "UK_PASSPORT": Entity(("passport",), "passport number"),
    "UK_DRIVING_LICENCE": Entity(("driving-licence",), "driving licence"),
    "UK_VEHICLE_REGISTRATION": Entity(("vehicle-registration",), "vehicle registration"),
    "AU_TFN": Entity(("au-tfn",), "tax file number"),
    "AU_ABN": Entity(("company-number",), "ABN"),
    "AU_ACN": Entity(("company-number",), "ACN"),
    "AU_MEDICARE": Entity(("au-medicare",), "Medicare number"),
    "IN_AADHAAR": Entity(("in-aadhaar",), "Aadhaar"),
    "IN_PAN": Entity(("in-pan",), "PAN"),
    "IN_GSTIN": Entity(("company-number",), "GSTIN"),
    "IN_PASSPORT": Entity(("passport",), "passport number"),
    "IN_VOTER": Entity(("in-voter",), "voter ID"),
    "IN_VEHICLE_REGISTRATION": Entity(("vehicle-registration",), "vehicle registration"),
    "KR_RRN": Entity(("kr-rrn",), "resident registration number"),
    "KR_FRN": Entity(("kr-rrn",), "foreigner registration number"),
    "KR_BRN": Entity(("company-number",), "business registration number"),
    "KR_PASSPORT": Entity(("passport",), "passport number"),
    "KR_DRIVER_LICENSE": Entity(("driving-licence",), "driver license number"),
    "SG_NRIC_FIN": Entity(("sg-nric",), "NRIC"),
    "SG_UEN": Entity(("company-number",), "UEN"),
    "TH_TNIN": Entity(("th-tnin",), "Thai national ID"),
    "PH_TIN": Entity(("ph-tin",), "TIN"),
    "NG_NIN": Entity(("ng-nin",), "NIN"),
    "NG_VEHICLE_REGISTRATION": Entity(("vehicle-registration",), "vehicle registration"),
    "ZA_ID_NUMBER": Entity(("za-id",), "South African ID number"),
    "TR_NATIONAL_ID": Entity(("tr-kimlik",), "TC kimlik no"),
    "TR_LICENSE_PLATE": Entity(("vehicle-registration",), "plaka"),
    "DE_TAX_ID": Entity(("de-tax-id",), "Steuer-ID"),
    "DE_TAX_NUMBER": Entity(("de-tax-id",), "Steuernummer"),
    "DE_VAT_ID": Entity(("company-number",), "USt-IdNr"),
    "DE_SOCIAL_SECURITY": Entity(("de-pension-number",), "Sozialversicherungsnummer"),
    "DE_HEALTH_INSURANCE": Entity(("de-kvnr",), "Krankenversichertennummer"),
    "DE_LANR": Entity(("de-lanr",), "LANR"),
    "DE_ID_CARD": Entity(("identity-card",), "Personalausweis"),
    "DE_PASSPORT": Entity(("passport",), "Reisepass"),
    "DE_FUEHRERSCHEIN": Entity(("driving-licence",), "Führerschein"),
    "DE_KFZ": Entity(("vehicle-registration",), "Kennzeichen"),
    "ES_NIF": Entity(("es-nif",), "NIF"),
    "ES_NIE": Entity(("es-nie",), "NIE"),
    "ES_PASSPORT": Entity(("passport",), "pasaporte"),
    "IT_FISCAL_CODE": Entity(("it-fiscal-code",), "codice fiscale"),
    "IT_VAT_CODE": Entity(("company-number",), "partita IVA"),
    "IT_IDENTITY_CARD": Entity(("identity-card",), "carta d'identità"),
    "IT_PASSPORT": Entity(("passport",), "passaporto"),
    "IT_DRIVER_LICENSE": Entity(("driving-licence",), "patente"),
    "FI_PERSONAL_IDENTITY_CODE": Entity(("fi-hetu",), "henkilötunnus"),
    "PL_PESEL": Entity(("pl-pesel",), "PESEL"),
    "SE_PERSONNUMMER": Entity(("se-personnummer",), "personnummer"),
}

_MODEL = "not a pattern: no engine here finds it without a model"
_NOBODY = "nothing that identifies a person"
_FIRM = "a company's or a practice's number, which is public"
LEFT_OUT: dict[str, str] = {
    "PERSON": _MODEL,
    "LOCATION": _MODEL,
    "ADDRESS": _MODEL,
    "ORGANIZATION": _MODEL,
    "TITLE": _MODEL,
    "PREFIX": _MODEL,
    "DOMAIN_NAME": _NOBODY,
    "URL": _NOBODY,
    "DE_PLZ": _NOBODY,
    "UK_POSTCODE": _NOBODY,
    "DE_HANDELSREGISTER": _FIRM,
    "DE_BSNR": _FIRM,
    "SE_ORGANISATIONSNUMMER": _FIRM,
    "DATE_TIME": "ours are dates of birth, which have a context; presidio's is every date",
}

PLUGINS: dict[str, tuple[tuple[str, ...], str]] = {
    "artifactory": (("artifactory-token",), "Artifactory Credentials"),
    "aws_key": (("aws-key",), "AWS Access Key"),
    "azure_storage_key": (("azure-key", "connection-string"), "Azure Storage Account access key"),
    "basic_auth": (("url-credential",), "Basic Auth Credentials"),
    "cloudant": (("ibm-key",), "Cloudant Credentials"),
    "discord": (("discord-token",), "Discord Bot Token"),
    "github_token": (("github-token",), "GitHub Token"),
    "gitlab_token": (("gitlab-token",), "GitLab Token"),
    "ibm_cloud_iam": (("ibm-key",), "IBM Cloud IAM Key"),
    "ibm_cos_hmac": (("ibm-key",), "IBM COS HMAC Credentials"),
    "jwt": (("jwt",), "JSON Web Token"),
    "keyword": (("password", "secret-assignment"), "Secret Keyword"),
    "mailchimp_key": (("mailchimp-key",), "Mailchimp Access Key"),
    "npm": (("npm-token",), "NPM tokens"),
    "openai": (("openai-key",), "OpenAI Token"),
    "private_key": (("private-key",), "Private Key"),
    "pypi_token": (("pypi-token",), "PyPI Token"),
    "sendgrid": (("sendgrid-key",), "SendGrid API Key"),
    "slack": (("slack-token", "slack-webhook"), "Slack Token"),
    "softlayer": (("ibm-key",), "SoftLayer Credentials"),
    "square_oauth": (("square-token",), "Square OAuth Secret"),
    "stripe_key": (("stripe-key",), "Stripe Access Key"),
    "telegram_token": (("telegram-token",), "Telegram Bot Token"),
    "twilio": (("twilio-key", "twilio-sid", "twilio-token"), "Twilio API Key"),
}
"""A test file of detect-secrets (without `_test.py`): our kinds for it, and the name of its finding. Left out
are entropy alone (`high_entropy_strings`: a random string is no secret by itself) and which addresses are public."""

ASSIGNMENTS = frozenset({"keyword"})
"""Plugins that look for names to which a secret is assigned, whatever it looks like."""
