"""The validators of the public networks, as the configurations of captive core name them.

Facts (home domains, public keys, qualities) of ``captive-core-pubnet.cfg`` and ``captive-core-testnet.cfg`` below
``ingest/ledgerbackend/configs/`` of the repository stellar/go, as of 2025.
"""

from __future__ import annotations

TESTNET = {
    "testnet.stellar.org": [
        "GDKXE2OZMJIPOSLNA6N6F2BVCI3O777I2OOC4BV7VOYUEHYX7RTRYA7Y",
        "GCUCJTIYXSOXKBSNFGNFWW5MUQ54HKRPGJUTQFJ5RQXZXNOLNXYDHRAP",
        "GC2V2EFSXN6SQTWVYA5EPJPBWWIMSD2XQNKUOHGEKB535AQE2I6IXV2Z",
    ]
}

PUBNET = {
    "publicnode.org": [
        "GCVJ4Z6TI6Z2SOGENSPXDQ2U4RKH3CNQKYUHNSSPYFPNWTLGS6EBH7I2",
        "GCIXVKNFPKWVMKJKVK2V4NK7D4TC6W3BUMXSIJ365QUAXWBRPPJXIR2Z",
        "GBLJNN3AVZZPG2FYAYTYQKECNWTQYYUUY2KVFN2OUKZKBULXIXBZ4FCT",
    ],
    "lobstr": [
        "GCFONE23AB7Y6C5YZOMKUKGETPIAJA4QOYLS5VNS4JHBGKRZCPYHDLW7",
        "GCB2VSADESRV2DDTIVTFLBDI562K6KE3KMKILBHUHUWFXCUBHGQDI7VL",
        "GA5STBMV6QDXFDGD62MEHLLHZTPDI77U3PFOD2SELU5RJDHQWBR5NNK7",
    ],
    "www.franklintempleton.com": [
        "GCMSM2VFZGRPTZKPH5OABHGH4F3AVS6XTNJXDGCZ3MKCOSUBH3FL6DOB",
        "GA7DV63PBUUWNUFAF4GAZVXU2OZMYRATDLKTC7VTCG7AU4XUPN5VRX4A",
        "GARYGQ5F2IJEBCZJCBNPWNWVDOFK7IBOHLJKKSG2TMHDQKEEC6P4PE4V",
    ],
    "satoshipay": [
        "GC5SXLNAM3C4NMGK2PXK4R34B5GNZ47FYQ24ZIBFDFOCU6D4KBN4POAE",
        "GBJQUIXUO4XSNPAUT6ODLZUJRV2NPXYASKUBY4G5MYP3M47PCVI55MNT",
        "GAK6Z5UVGUVSEK6PEOCAYJISTT5EJBB34PN3NOLEQG2SUKXRVV2F6HZY",
    ],
    "stellar.creit.tech": [
        "GBF7QOLFPTHUEDUPTT4ZTULDTA3QXDIO75JHKJN2IYD7YGQLYUTR75BT",
        "GBPLJDBFZO2H7QQH7YFCH3HFT6EMC42Z2DNJ2QFROCKETAPY54V4DCZD",
        "GDDANSYOYSY5EPSFHBRPCLX6XMHPPLIMHVIDXG6IPQLVVLRI2BN4HMH3",
    ],
    "sdf": [
        "GCM6QMP3DLRPTAZW2UZPCPX2LF3SXWXKPMP3GKFZBDSF3QZGV2G5QSTK",
        "GCGB2S2KGYARPVIA37HYZXVRM2YZUEXA6S33ZU5BUDC6THSB62LZSTYH",
        "GABMKJM6I25XI4K7U6XWMULOUQIQ27BCTMLS6BYYSOWKTBUXVRJSXHYQ",
    ],
    "blockdaemon": [
        "GAYXZ4PZ7P6QOX7EBHPIZXNWY4KCOBYWJCA4WKWRKC7XIUS3UJPT6EZ4",
        "GAVXB7SBJRYHSG6KSQHY74N7JAFRL4PFVZCNWW2ARI6ZEKNBJSMSKW7C",
        "GAAV2GCVFLNN522ORUYFV33E76VPC22E72S75AQ6MBR5V45Z5DWVPWEU",
    ],
}

#: The passphrases that the configurations state.
PASSPHRASES = {
    "testnet": "Test SDF Network ; September 2015",
    "pubnet": "Public Global Stellar Network ; September 2015",
}


def configuration(domains: dict[str, list[str]], passphrase: str = "", quality: str = "HIGH") -> str:
    """A configuration of captive core that names these validators, all of one quality."""
    lines = [f'NETWORK_PASSPHRASE="{passphrase}"'] if passphrase else []
    lines += ["HTTP_PORT=11626", "FAILURE_SAFETY=1", ""]
    for domain in domains:
        lines += ["[[HOME_DOMAINS]]", f'HOME_DOMAIN="{domain}"', f'QUALITY="{quality}"', ""]
    for domain, keys in domains.items():
        for number, key in enumerate(keys, 1):
            lines += ["[[VALIDATORS]]", f'NAME="{domain} {number}"', f'PUBLIC_KEY="{key}"', f'HOME_DOMAIN="{domain}"']
            lines += [f'ADDRESS="node{number}.{domain}:11625"', 'HISTORY="curl -sf https://example.org/{0} -o {1}"', ""]
    return "\n".join(lines)
