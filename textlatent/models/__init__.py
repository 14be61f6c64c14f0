"""Instances: encoder x prior x decoder x gradient rule; importing this registers them with the Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from textlatent.corpus.tokenizer import SentenceTokenizer
from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.models.autoencoder import Autoencoder
from textlatent.models.configuration import SentenceAutoencoderConfig, SentenceVAEConfig, SentenceVQConfig
from textlatent.models.deterministic import SentenceAutoencoder
from textlatent.models.gaussian_vae import SentenceVAE
from textlatent.models.latent_class import LatentClassModel
from textlatent.models.latent_class_configuration import LatentClassConfig, TableDecoderConfig
from textlatent.models.load import load_model
from textlatent.models.vector import VectorAutoencoder, VectorAutoencoderConfig
from textlatent.models.vq import SentenceVQ

AutoConfig.register(SentenceVAEConfig.model_type, SentenceVAEConfig)
AutoConfig.register(SentenceVQConfig.model_type, SentenceVQConfig)
AutoConfig.register(SentenceDecoderConfig.model_type, SentenceDecoderConfig)
AutoConfig.register(SentenceAutoencoderConfig.model_type, SentenceAutoencoderConfig)
AutoConfig.register(VectorAutoencoderConfig.model_type, VectorAutoencoderConfig)
AutoConfig.register(LatentClassConfig.model_type, LatentClassConfig)
AutoConfig.register(TableDecoderConfig.model_type, TableDecoderConfig)
AutoModel.register(SentenceVAEConfig, SentenceVAE)
AutoModel.register(SentenceVQConfig, SentenceVQ)
AutoModel.register(SentenceAutoencoderConfig, SentenceAutoencoder)
AutoModel.register(VectorAutoencoderConfig, VectorAutoencoder)
AutoModel.register(LatentClassConfig, LatentClassModel)
AutoModelForCausalLM.register(SentenceDecoderConfig, SentenceDecoder)
AutoTokenizer.register(SentenceVAEConfig, SentenceTokenizer)
AutoTokenizer.register(SentenceVQConfig, SentenceTokenizer)
AutoTokenizer.register(SentenceAutoencoderConfig, SentenceTokenizer)
AutoTokenizer.register(LatentClassConfig, SentenceTokenizer)

__all__ = [
    "Autoencoder",
    "LatentClassConfig",
    "LatentClassModel",
    "SentenceAutoencoder",
    "SentenceAutoencoderConfig",
    "SentenceVAE",
    "SentenceVAEConfig",
    "SentenceVQ",
    "SentenceVQConfig",
    "TableDecoderConfig",
    "VectorAutoencoder",
    "VectorAutoencoderConfig",
    "load_model",
]
